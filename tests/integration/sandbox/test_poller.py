"""Somebody who asks again and again, over the wire."""

from __future__ import annotations

import asyncio

import pytest

from sandbox.client import SandboxClient
from sandbox.errors import ControlError
from sandbox.poller import polling
from sandbox.server import Sandbox
from tests.integration.sandbox.small_bot import DEADLINE, RunningBot, SmallBot
from tests.unit.ui.story import until


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
