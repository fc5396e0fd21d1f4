"""What a stack's author writes, or has a program print, is read in a time that grows with its length alone.

A regular expression holds up the whole process for as long as it searches.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from roas.checks.compose_variables import variable_uses, variables_of_images
from roas.models.environment import Environment
from roas.redaction import Redactor
from roas.stack.compose.processes import read_output
from roas.stack.images.building import LONGEST_LINE, _fraction, _shown
from roas.stack.model.secret_sources import of_text
from roas.stack.resolution.version_use import version_of_files
from roas.stack.sources.build_context import IgnoreRules

LENGTH = 300_000
ENVIRONMENT = Environment("dev", "p", Path("/s"), (Path("/s/c.yml"),), env_files=(Path("/s/.env"),))
PIECES = (
    "a",
    "-a",
    ".a",
    "a=",
    "\n",
    "\t",
    " ",
    "[",
    "[ ",
    "${",
    "${a:-",
    "://",
    "a:b@",
    "password=",
    "eyJ",
    '"',
    "\\u0061",
)
READERS: dict[str, Callable[[str], object]] = {
    "secrets": lambda text: list(of_text(text)),
    "version": lambda text: version_of_files(ENVIRONMENT, {Path("/s/.env"): text.encode()}),
    "line of a build": _fraction,
    "redaction": Redactor(["correct-horse-battery"]).redact,
    "ignored": lambda text: IgnoreRules("\n".join(text[:900].splitlines())),
}


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("reader", READERS)
def test_long_text_is_read_in_time(reader: str, piece: str) -> None:
    text = (piece * LENGTH)[:LENGTH]
    begun = time.process_time()
    READERS[reader](text)
    assert time.process_time() - begun < 4.0


@pytest.mark.parametrize("piece", ["${", "${a:-", "$", ":"])
def test_long_image_is_read_in_time(tmp_path: Path, piece: str) -> None:
    path = tmp_path / "docker-compose.yml"
    path.write_text(f"services: {{web: {{image: '{piece * (LENGTH // len(piece))}'}}}}")
    begun = time.process_time()
    assert variables_of_images([path]) == {}
    variable_uses([path], {})
    assert time.process_time() - begun < 4.0


def test_names_of_variables_are_found_as_before() -> None:
    text = "A_TOKEN=one-secret\n  b_pass: two-secret # c\n--password=three-secret\nexport D_KEY = 'four-secret'\n"
    assert {"one-secret", "two-secret", "three-secret", "four-secret"} <= set(of_text(text))


def test_version_of_env_file_is_found_as_before() -> None:
    for line in ("VERSION=v1", "\n  export VERSION = v1 # c", "A=1\nVERSION='v1'"):
        assert version_of_files(ENVIRONMENT, {Path("/s/.env"): line.encode()}) == "v1"


@pytest.mark.parametrize("before", [0, LONGEST_LINE - 30, LONGEST_LINE - 10, LONGEST_LINE - 1, LONGEST_LINE + 10])
def test_line_of_a_build_is_cut_after_its_secrets(before: int) -> None:
    """No part of a secret is left where the line is cut, and no more of it is searched."""
    redactor = Redactor(["correct-horse-battery"])
    shown = _shown(f"{'x ' * (before // 2)} correct-horse-battery {'y' * (1 << 20)}", redactor)
    assert "correct" not in shown
    assert len(shown) < LONGEST_LINE


async def test_line_that_is_too_long_is_left_out() -> None:
    """A build may print a line of any length; it goes on."""
    stream, lines = asyncio.StreamReader(limit=100), list[str]()
    stream.feed_data(b"first\n" + b"x" * 5000 + b"\nlast\n")
    stream.feed_eof()

    async def on_line(line: str) -> None:
        lines.append(line)

    await read_output(stream, on_line)
    assert lines == ["first", "last"]
