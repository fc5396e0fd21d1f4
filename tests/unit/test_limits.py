"""Waits grow with each failure in a row, up to a limit."""

from roas.limits import (
    BUILD_TIMEOUT_SECONDS,
    PREPARE_MONITORING_TIMEOUT_SECONDS,
    PULL_TIMEOUT_SECONDS,
    STANDARD,
    Backoff,
    Retries,
)
from roas.models.phases import PhaseName


def test_preparation_is_no_shorter_than_what_is_within_it() -> None:
    """Who runs out of time there is told what to do about it; the phase itself knows less."""
    (preparation,) = (policy for policy in STANDARD.phases if policy.name is PhaseName.PREPARATION)
    within = (PULL_TIMEOUT_SECONDS, BUILD_TIMEOUT_SECONDS, PREPARE_MONITORING_TIMEOUT_SECONDS)
    assert preparation.timeout_seconds >= max(within)


def test_wait_doubles_up_to_limit() -> None:
    backoff = Backoff(Retries(1.0, 5.0))
    assert [backoff.failed() for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_success_begins_again() -> None:
    backoff = Backoff(Retries(1.0, 5.0))
    waits = [backoff.failed(), backoff.failed()]
    backoff.succeeded()
    assert [*waits, backoff.failed()] == [1.0, 2.0, 1.0]


def test_other_limit_for_one_failure() -> None:
    """A closed channel is tried less often than one that refused a message."""
    backoff = Backoff(Retries(8.0, 10.0))
    assert [backoff.failed(300), backoff.failed(300), backoff.failed()] == [8.0, 16.0, 10.0]


def test_spread_shortens_within_bounds() -> None:
    waits = [Backoff(Retries(8.0, 10.0), spread=True).failed() for _ in range(100)]
    assert all(4.0 <= wait <= 8.0 for wait in waits)
    assert len(set(waits)) > 10


def test_endless_failures_stay_at_limit() -> None:
    backoff = Backoff(Retries(0.1, 5.0))
    assert [backoff.failed() for _ in range(5000)][-1] == 5.0
