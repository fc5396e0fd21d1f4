"""A bot that is killed and started again between any two clicks changes nothing for the people who click."""

import pytest

from tests.wire.bot_process import BotProcess
from tests.wire.channel import DEPLOYMENT_ID, button, confirm, outcome
from tests.wire.conftest import COMMANDS, CONNECT_SECONDS

pytestmark = [pytest.mark.wire, pytest.mark.timeout(240)]


async def killed(bot: BotProcess, people) -> None:
    """Kill the bot and start it again."""
    before = (await people.state())["identified"]
    await bot.kill()
    await bot.start()
    await people.wait_for_commands(*COMMANDS, deadline_seconds=CONNECT_SECONDS)
    await people.wait_until_connected(CONNECT_SECONDS)
    assert (await people.state())["identified"] >= before


async def test_the_button_of_a_plan_that_was_used_before_the_kill_starts_nothing_again(bot, people, shop):
    plan = (await people.answer(await people.slash("dora", "deploy", environment="dev", version="v1"))).message
    custom_id = button(plan, "confirm")
    first = DEPLOYMENT_ID.search(await confirm(people, "dora", plan))
    await killed(bot, people)
    assert "succeeded" in (await outcome(people, first.group())).text
    shown = await people.messages(as_user="dora")
    assert custom_id not in [one.custom_id for message in shown for one in message.buttons]
    assert len([one for one in shown if "· outcome" in one.text]) == 1
