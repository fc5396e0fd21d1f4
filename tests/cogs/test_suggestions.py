"""Suggestions complete what was typed, and are never more than Discord shows."""

from dataclasses import replace

from bot.models.release import ReleaseState
from cogs.suggestions import matching, matching_last, releases
from tests.ui.samples import a_release


def test_what_begins_with_the_typed_text_comes_before_what_contains_it() -> None:
    assert [choice.value for choice in matching("a", ["ba", "ab", "c"])] == ["ab", "ba"]


def test_at_most_25_are_suggested_each_once_and_none_too_long() -> None:
    values = [f"v{number}" for number in range(40)] * 2 + ["v" * 101]
    choices = matching("v", values)
    assert len(choices) == 25
    assert len({choice.value for choice in choices}) == 25
    assert all(len(choice.value) <= 100 for choice in choices)


def test_the_last_of_several_services_is_completed_and_none_is_suggested_twice() -> None:
    known = ["web", "worker", "redis"]
    assert [choice.value for choice in matching_last("web w", known)] == ["web worker"]
    assert [choice.value for choice in matching_last("web,", known)] == ["web worker", "web redis"]
    assert [choice.value for choice in matching_last("", known)] == known


def test_only_releases_that_one_can_go_back_to_are_suggested() -> None:
    failed = replace(a_release(4), state=ReleaseState.FAILED)
    suggested = releases("", [a_release(5), failed, a_release(3)], current=a_release(5))
    assert [choice.value for choice in suggested] == ["r3"]
    assert "v3" in suggested[0].name


def test_a_release_is_found_by_its_version_too() -> None:
    assert [choice.value for choice in releases("v1.2", [a_release(3, "v1.2.3"), a_release(2, "v1.1")], None)] == ["r3"]
