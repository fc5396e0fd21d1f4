"""A bot that is killed and started again between any two clicks changes nothing for the people who click."""

from pathlib import Path

import pytest

from tests.wire.bot_process import BotProcess
from tests.wire.channel import DEPLOYMENT_ID, approval, ask, button, confirm, outcome, press
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


async def test_a_plan_is_confirmed_approved_and_undone_by_people_who_notice_nothing(
    bot, people, shop, image_ids, tmp_path: Path
):
    plan = (await people.answer(await people.slash("dora", "deploy", environment="prod", version="v1"))).message
    await killed(bot, people)
    assert "A second person has to approve it" in await confirm(people, "dora", plan)
    wanted = await approval(people, "prod")
    await killed(bot, people)
    started = DEPLOYMENT_ID.search(await press(people, "anna", wanted, "approve"))
    told = await outcome(people, started.group())
    assert "succeeded" in told.text
    assert shop.running("prod") == {"store": image_ids["v1"], "web": image_ids["v1"]}
    assert len([one for one in await people.messages() if "· outcome" in one.text]) == 1
    await killed(bot, people)
    assert "Deploy v1 to prod" in await ask(people, "bob", "history", environment="prod")


async def test_the_button_of_a_plan_that_was_used_before_the_kill_starts_nothing_again(bot, people, shop):
    plan = (await people.answer(await people.slash("dora", "deploy", environment="dev", version="v1"))).message
    custom_id = button(plan, "confirm")
    first = DEPLOYMENT_ID.search(await confirm(people, "dora", plan))
    await killed(bot, people)
    assert "succeeded" in (await outcome(people, first.group())).text
    shown = await people.messages(as_user="dora")
    assert custom_id not in [one.custom_id for message in shown for one in message.buttons]
    assert len([one for one in shown if "· outcome" in one.text]) == 1
