"""Patterns of a `.dockerignore` mean what they always did, and none of them holds the bot up."""

import re
import time
from pathlib import Path, PurePosixPath

import pytest
from docker.utils.fnmatch import translate
from hypothesis import given
from hypothesis import strategies as some

from roas.errors import ComposeFileError
from roas.stack.sources import build_context
from roas.stack.sources.build_context import IgnorePattern, IgnoreRules, walk

PARTS = ("a", "b", "/", "*", "**", "**/", "?", "[ab]", "[!a]", "[", "]", ".", "\\", "+")
patterns = some.lists(some.sampled_from(PARTS), max_size=8).map("".join)
paths = some.text("ab/.", max_size=8)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # "[[" may mean more in a later Python
@given(patterns, paths)
def test_walked_pattern_means_what_the_expression_does(pattern: str, path: str) -> None:
    try:
        expression = re.compile(translate(pattern))
    except re.error:
        return
    assert walk(pattern, path) == (expression.match(path) is not None)


@pytest.mark.parametrize("pattern", ["*a" * 30 + "b", "**/a" * 30 + "b", "?*" * 40 + "b", "[a]*" * 40 + "b"])
@pytest.mark.parametrize("path", ["a" * 255, "a/" * 120 + "a"])
def test_many_stars_take_no_time(pattern: str, path: str) -> None:
    begun = time.process_time()
    assert not IgnoreRules(pattern).leaves_out(PurePosixPath(path))
    assert time.process_time() - begun < 5.0


@pytest.mark.parametrize("pattern", ["[b-a]", "a" * 2000])
def test_pattern_that_is_none_is_an_error(pattern: str) -> None:
    with pytest.raises(ComposeFileError):
        IgnorePattern(pattern)


def test_ignoring_is_bounded_in_number_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ComposeFileError, match="too many patterns"):
        IgnoreRules("a\n" * 20_000)
    monkeypatch.setattr(build_context, "MOST_SECONDS", -1.0)
    with pytest.raises(ComposeFileError, match="too many patterns, or too long"):
        IgnoreRules("a").leaves_out(PurePosixPath(Path("x")))
