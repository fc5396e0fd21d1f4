"""How it is told whether somebody who asks again and again was answered: once, twice, late or never."""

from __future__ import annotations

import pytest

from sandbox.poller import PollResults
from sandbox.views import Asked


def asked(
    sent: float, answered_after: float | None, *, answers: int = 1, refused: int = 0, acknowledged_after: float = 0.1
) -> Asked:
    if answered_after is None:
        return Asked(1, "status", sent, None, None, 0, refused)
    return Asked(1, "status", sent, sent + acknowledged_after, sent + answered_after, answers, refused)


def test_prompt_answers_show_no_downtime() -> None:
    seen = PollResults([asked(at, 0.5) for at in (1.0, 2.0, 3.0)])
    assert (seen.never, seen.twice, seen.late, seen.refused) == (0, 0, 0, 0)
    assert (seen.median, seen.p99, seen.longest_wait) == (0.5, 0.5, 0.5)
    assert seen.longest_gap == 1.0
    assert seen.unresponsive == 0.0


def test_missing_answers_counted_with_downtime() -> None:
    """What was never answered is counted with the time in which nobody listened."""
    seen = PollResults([asked(1.0, 0.1), asked(2.0, None), asked(3.0, None), asked(4.5, 0.1), asked(5.0, None)])
    assert seen.never == 3
    assert seen.unresponsive == 3.5
    assert seen.longest_gap == pytest.approx(3.5)


def test_unanswered_session_is_all_downtime() -> None:
    seen = PollResults([asked(1.0, None), asked(9.0, None)])
    assert (seen.never, seen.unresponsive, seen.longest_gap, seen.median) == (2, 8.0, 0.0, 0.0)


def test_late_and_double_answers_counted() -> None:
    late, slow = asked(1.0, 3.2, acknowledged_after=3.1), asked(2.0, 4.0)
    seen = PollResults([late, slow, asked(3.0, 0.1, answers=2), asked(4.0, 0.1, refused=1)])
    assert (seen.late, seen.twice, seen.refused, seen.never) == (1, 1, 1, 0)
    assert seen.longest_wait == pytest.approx(4.0)
