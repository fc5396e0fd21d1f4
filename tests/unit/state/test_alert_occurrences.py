"""Whatever comes late, twice or in another order, an alert from outside ends as its newest report says."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from roas.models.alert import Alert, AlertReport, AlertSource, Instant, Severity
from roas.state.alerts import judge

NOW = Instant(datetime(2026, 1, 1, 12, tzinfo=UTC), "boot", 1000.0)
NEVER = "0001-01-01T00:00:00Z"


def at(minute: float) -> str:
    return (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)).isoformat()


def report(begun: int, *, firing: bool = True, **changes: str) -> AlertReport:
    """Return what is sent of the nth occurrence, which begins at minute n and lasts half of it."""
    return replace(
        AlertReport("f", AlertSource.ALERTMANAGER, Severity.HIGH, "Down", firing=firing, occurrence=at(begun)),
        **({"ended": NEVER if firing else at(begun + 0.5)} | changes),  # type: ignore[arg-type]
    )


def after(reports: Sequence[AlertReport]) -> Alert | None:
    """Return what is known after some reports."""
    known: Alert | None = None
    for one in reports:
        taken = judge(known, one, NOW)
        known = known if taken is None else taken.alert
    return known


@some.composite
def histories(draw: some.DrawFn) -> tuple[list[AlertReport], bool]:
    """Return reports of some occurrences, in any order and as often as one likes, and whether the last goes on."""
    count, continues = draw(some.integers(1, 4)), draw(some.booleans())
    sent = [report(number, firing=firing) for number in range(count) for firing in (True, False)]
    sent = sent[:-1] if continues else sent
    replayed = draw(some.lists(some.sampled_from(sent), max_size=8))
    # The end of what nobody ever heard of is nothing: the first beginning is not overtaken.
    return [sent[0], *draw(some.permutations([*sent[1:], *replayed]))], continues


@given(histories())
def test_any_delivery_order_ends_as_newest(history: tuple[list[AlertReport], bool]) -> None:
    reports, continues = history
    known = after(reports)
    assert known is not None
    assert known.is_open is continues


def test_resolution_matches_earlier_start() -> None:
    """The end of an occurrence that another sender saw begin earlier is its end."""
    known = after([report(2), replace(report(2, firing=False), occurrence=at(1.9))])
    assert known is not None
    assert not known.is_open


def test_undated_resolution_counts_by_start() -> None:
    known = after([report(1), report(1, firing=False), report(2), report(1, firing=False, ended=NEVER)])
    assert known is not None
    assert known.is_open


def test_future_start_does_not_outdate_later_reports() -> None:
    ahead = replace(report(1), occurrence="2030-01-01T00:00:00Z")
    known = after([ahead, report(3, firing=False)])
    assert known is not None
    assert not known.is_open


@pytest.mark.parametrize("source", [AlertSource.HEALTH, AlertSource.INTEGRATION])
def test_own_occurrence_ids_are_no_times(source: AlertSource) -> None:
    own = [replace(report(n, firing=n % 2 == 0), source=source, occurrence=at(9 - n)) for n in range(4)]
    known = after(own[:3])
    assert known is not None
    assert known.is_open


@given(some.text(max_size=40) | some.datetimes().map(str), some.text(max_size=40) | some.datetimes().map(str))
def test_malformed_time_breaks_nothing(first: str, second: str) -> None:
    begun = replace(report(1), occurrence=first)
    assert after([begun, replace(begun, occurrence=second), replace(begun, firing=False, ended=second)]) is not None
