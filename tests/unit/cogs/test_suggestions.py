"""Suggestions complete what was typed, and are never more than Discord shows."""

from dataclasses import replace

from roas.cogs.arguments import matching, matching_last, releases
from roas.models.release import ReleaseState
from tests.unit.ui.samples import a_release


def test_prefix_matches_come_first() -> None:
    assert [choice.value for choice in matching("a", ["ba", "ab", "c"])] == ["ab", "ba"]


def test_suggestions_limited_unique_and_short() -> None:
    """At most 25 are suggested, each once, and none too long for Discord."""
    values = [f"v{number}" for number in range(40)] * 2 + ["v" * 101]
    choices = matching("v", values)
    assert len(choices) == 25
    assert len({choice.value for choice in choices}) == 25
    assert all(len(choice.value) <= 100 for choice in choices)


def test_last_of_several_services_completed() -> None:
    """A service that was typed already is not suggested again."""
    known = ["web", "worker", "redis"]
    assert [choice.value for choice in matching_last("web w", known)] == ["web worker"]
    assert [choice.value for choice in matching_last("web,", known)] == ["web worker", "web redis"]
    assert [choice.value for choice in matching_last("", known)] == known


def test_only_restorable_releases_suggested() -> None:
    failed = replace(a_release(4), state=ReleaseState.FAILED)
    suggested = releases("", [a_release(5), failed, a_release(3)], current=a_release(5))
    assert [choice.value for choice in suggested] == ["r3"]
    assert "v3" in suggested[0].name


def test_release_found_by_version() -> None:
    assert [choice.value for choice in releases("v1.2", [a_release(3, "v1.2.3"), a_release(2, "v1.1")], None)] == ["r3"]
