"""What people type is read strictly; what is wrong is refused in words, with the nearest right values."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roas.cogs.arguments import (
    VERSION_PATTERN,
    read_environment,
    read_reason,
    read_release,
    read_services,
    read_version,
)
from roas.errors import InvalidRequestError
from roas.models.release import ReleaseState
from tests.unit.cogs.fake_application import an_environment
from tests.unit.ui.samples import a_release

ENVIRONMENTS = {name: an_environment(name) for name in ("dev", "staging", "prod")}
RELEASES = [a_release(number) for number in (12, 11, 10)]


def test_environment_resolved_or_nearest_suggested() -> None:
    """An unknown environment is refused with the nearest known one."""
    assert read_environment(" prod ", ENVIRONMENTS).name == "prod"
    with pytest.raises(InvalidRequestError) as refused:
        read_environment("stagging", ENVIRONMENTS)
    assert "stagging" in refused.value.message
    assert "staging" in refused.value.hint


def test_unlike_value_lists_all_choices() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        read_environment("zzz", ENVIRONMENTS)
    assert refused.value.hint == "There are dev, staging, prod."
    with pytest.raises(InvalidRequestError) as refused:
        read_environment("zzz", {"dev": ENVIRONMENTS["dev"]})
    assert refused.value.hint == "There is dev."


@pytest.mark.parametrize("version", ["v1", "1.2.3", "2026-03-01_rc.1+build", "a" * 128])
def test_plain_version_accepted(version: str) -> None:
    assert read_version(f" {version} ") == version


@pytest.mark.parametrize("version", ["", "-v1", ".1", "v 1", "v1;rm", "$(x)", "v1\n2", "a" * 129, "ｖ1", "--help"])
def test_invalid_version_refused(version: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        read_version(version)
    assert refused.value.hint


@given(st.text(max_size=140))
def test_accepted_version_matches_pattern(text: str) -> None:
    """No accepted text can be read as an option or end a word."""
    try:
        version = read_version(text)
    except InvalidRequestError:
        return
    assert VERSION_PATTERN.fullmatch(version)
    assert not version.startswith("-")


def test_services_split_and_deduplicated() -> None:
    assert read_services("web, redis web", ("web", "redis")) == ("web", "redis")
    assert read_services(None, ("web",)) == ()
    assert read_services("  ", ("web",)) == ()


def test_unknown_service_suggests_nearest() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        read_services("web redsi", ("web", "redis"))
    assert "redsi" in refused.value.message
    assert "redis" in refused.value.hint


@pytest.mark.parametrize("name", ["--privileged", "a b;c", "../x"])
def test_service_never_an_option(name: str) -> None:
    with pytest.raises(InvalidRequestError):
        read_services(name, ())


@pytest.mark.parametrize("text", ["r11", "R11", "11", " 11 "])
def test_release_accepts_two_notations(text: str) -> None:
    assert read_release(text, RELEASES) == 11


@pytest.mark.parametrize("text", ["r13", "latest", "r", "-1", "r1e1"])
def test_unknown_release_refused_with_kept_ones(text: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        read_release(text, RELEASES)
    assert "r1" in refused.value.hint
    with pytest.raises(InvalidRequestError) as refused:
        read_release(text, [*RELEASES, replace(a_release(99), state=ReleaseState.FAILED)])
    assert "r99" not in refused.value.hint


@pytest.mark.parametrize("text", [None, "", " "])
def test_empty_release_means_previous(text: str | None) -> None:
    assert read_release(text, RELEASES) is None


def test_reason_is_one_short_line() -> None:
    assert read_reason(" a\n b ") == "a b"
    assert read_reason(None) == ""
    with pytest.raises(InvalidRequestError):
        read_reason("  ", needed=True)
    with pytest.raises(InvalidRequestError):
        read_reason("x" * 501)
