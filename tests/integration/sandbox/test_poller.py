"""Somebody who asks again and again, and how it is told whether they were answered: once, twice, late or never."""

from __future__ import annotations

import asyncio

import pytest

from sandbox.client import SandboxClient
from sandbox.errors import ControlError
from sandbox.poller import PollResults, polling
from sandbox.server import Sandbox
from sandbox.views import Asked
from tests.integration.sandbox.small_bot import DEADLINE, RunningBot, SmallBot
from tests.unit.ui.story import until


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


@pytest.mark.wire
async def test_last_questions_awaited(bot: SmallBot, people: SandboxClient) -> None:
    async with polling(people, "secret", every_seconds=0.01) as somebody:

        async def has_asked() -> bool:
            return len(await people.asked(somebody.user)) > 5

        await until(has_asked)
    seen = somebody.results
    assert len(seen.asked) > 5
    assert (seen.never, seen.twice, seen.late) == (0, 0, 0)
    assert 0 < seen.median <= seen.longest_wait < 3


@pytest.mark.wire
async def test_edit_and_follow_up_are_two_answers(bot: SmallBot, people: SandboxClient) -> None:
    bot.go_on.set()
    sent = await people.slash("dora", "slow")
    await people.wait_for_message(lambda m: m.content == "and one more thing", as_user="dora")
    [one] = await people.asked("dora")
    assert (one.id, one.answers) == (sent.id, 2)
    assert one.acknowledged < one.answered


@pytest.mark.wire
async def test_only_one_of_two_bots_answers(bot: SmallBot, people: SandboxClient, sandbox: Sandbox) -> None:
    async with RunningBot(sandbox):
        await people.wait_until_connected(DEADLINE, sessions=2)
        async with polling(people, "secret", every_seconds=DEADLINE) as somebody:
            await people.wait_for_request(lambda request: request["status"] == 400)
    seen = somebody.results
    assert (len(seen.asked), seen.never, seen.twice, seen.refused) == (1, 0, 0, 1)


@pytest.mark.wire
async def test_unknown_command_reported(bot: SmallBot, people: SandboxClient) -> None:
    with pytest.raises(ControlError, match="no command /nothing"):
        async with polling(people, "nothing"):
            await asyncio.sleep(0.1)
