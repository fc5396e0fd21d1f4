"""A bot that is killed and started again between any two clicks changes nothing for the people who click."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from roas.models.deployment import Outcome
from roas.state.manager import StateManager
from roas.ui.embeds.history import PAGE_LENGTH
from tests.e2e.wire.bot_process import BotProcess
from tests.e2e.wire.conftest import COMMANDS, CONNECT_SECONDS
from tests.integration.sandbox.channel import ANSWER_SECONDS, DEPLOYMENT_ID, approval, button, confirm, outcome, press
from tests.unit.ui.samples import NOON, a_deployment

pytestmark = [pytest.mark.wire, pytest.mark.timeout(240)]


async def killed(bot: BotProcess, people, meanwhile: Callable[[], Awaitable[None]] | None = None) -> None:
    """Kill the bot and start it again."""
    before = (await people.state())["identified"]
    await bot.kill()
    if meanwhile is not None:
        await meanwhile()
    await bot.start()
    await people.wait_for_commands(*COMMANDS, deadline_seconds=CONNECT_SECONDS)
    await people.wait_until_connected(CONNECT_SECONDS)
    assert (await people.state())["identified"] >= before


async def test_used_button_starts_nothing_after_kill(bot, people, shop):
    plan = (await people.answer(await people.slash("dora", "deploy", environment="dev", version="v1"))).message
    custom_id = button(plan, "confirm")
    first = DEPLOYMENT_ID.search(await confirm(people, "dora", plan))
    await killed(bot, people)
    assert "succeeded" in (await outcome(people, first.group())).text
    shown = await people.messages(as_user="dora")
    assert custom_id not in [one.custom_id for message in shown for one in message.buttons]
    assert len([one for one in shown if "· outcome" in one.text]) == 1


async def test_next_bot_handles_plans_and_pages(bot, people, shop, bot_settings):
    """Plans are approved and discarded, and pages turned."""

    async def write_a_long_history() -> None:
        async with StateManager(Path(bot_settings["STATE_DIR"])) as state:
            for number in range(PAGE_LENGTH + 1):
                deployment = a_deployment(version=f"v0.{number}")
                fence = await state.deployments.create(deployment, "long ago")
                ended = replace(deployment, outcome=Outcome.SUCCEEDED, ended_at=NOON, duration_seconds=1.0)
                await state.deployments.finish(ended, fence)

    async def plan_of(environment: str):
        return (
            await people.answer(await people.slash("dora", "deploy", environment=environment, version="v1"))
        ).message

    wanted_for_dev, wanted_for_prod = await plan_of("dev"), await plan_of("prod")
    assert "A second person has to approve it" in await confirm(people, "dora", wanted_for_prod)
    await killed(bot, people, write_a_long_history)
    assert "was cancelled" in await press(people, "dora", wanted_for_dev, "withdraw")
    history = (await people.answer(await people.slash("bob", "history", environment="staging"))).message
    assert "v0.0" not in history.text
    (older,) = (one.custom_id for one in history.buttons)
    started = DEPLOYMENT_ID.search(await press(people, "anna", await approval(people, "prod"), "approve"))
    await killed(bot, people)
    turned = await people.answer(await people.click("bob", history, older), deadline_seconds=ANSWER_SECONDS)
    assert "v0.0" in turned.message.text
    assert "succeeded" in (await outcome(people, started.group())).text
    assert shop.containers("dev") == []
