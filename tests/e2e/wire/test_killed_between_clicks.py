"""A bot that is killed and started again between any two clicks changes nothing for the people who click."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from roas.models.deployment import Outcome
from roas.state.manager import StateManager
from sandbox.views import Message
from testbed.compose_labels import SERVICE_LABEL
from tests.e2e.wire.bot_process import BotProcess
from tests.e2e.wire.conftest import COMMANDS, CONNECT_SECONDS
from tests.integration.sandbox.channel import (
    ANSWER_SECONDS,
    DEPLOYMENT_ID,
    approval,
    button,
    confirm,
    live,
    outcome,
    press,
    start,
)
from tests.unit.ui.samples import NOON, a_deployment

PAGE_LENGTH = 8
pytestmark = pytest.mark.wire


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


@pytest.mark.long
async def test_clicks_meet_the_bot_that_lives(bot, people, shop, bot_settings, image_ids):
    """From plans to a rollback and an alert, nobody notices that the bot was killed meanwhile."""
    shop.write(alone=True)
    await used_button_starts_nothing(bot, people)
    told = await plans_and_pages_are_of_the_next_bot(bot, people, shop, bot_settings, image_ids)
    await outcome_and_alert_are_too(bot, people, shop, image_ids, told)


async def used_button_starts_nothing(bot, people):
    plan = await plan_of(people, "dev", "v1")
    custom_id = button(plan, "confirm")
    first = DEPLOYMENT_ID.search(await confirm(people, "dora", plan))
    await killed(bot, people)
    assert "succeeded" in (await outcome(people, first.group())).text
    shown = await people.messages(as_user="dora")
    assert custom_id not in [one.custom_id for message in shown for one in message.buttons]
    assert len([message for message in shown if "· outcome" in message.text]) == 1


async def plan_of(people, environment: str, version: str) -> Message:
    return (await people.answer(await people.slash("dora", "deploy", environment=environment, version=version))).message


async def started(people, who: str, message: Message, what: str) -> str:
    """Press a button that starts a deployment, and return its id."""
    return DEPLOYMENT_ID.search(await press(people, who, message, what)).group()


async def plans_and_pages_are_of_the_next_bot(bot, people, shop, bot_settings, image_ids) -> Message:
    """Plans are confirmed, approved and discarded, and pages turned; returns the outcome of v2."""

    async def write_a_long_history() -> None:
        async with StateManager(Path(bot_settings["STATE_DIR"])) as state:
            for number in range(PAGE_LENGTH + 1):
                deployment = a_deployment(version=f"v0.{number}")
                fence = await state.deployments.create(deployment, "long ago")
                ended = replace(deployment, outcome=Outcome.SUCCEEDED, ended_at=NOON, duration_seconds=1.0)
                await state.deployments.finish(ended, fence)

    wanted_for_staging, wanted_for_dev = await plan_of(people, "staging", "v1"), await plan_of(people, "dev", "v2")
    wanted_for_prod = await plan_of(people, "prod", "v1")
    assert "A second person has to approve it" in await confirm(people, "dora", wanted_for_prod)
    await killed(bot, people, write_a_long_history)
    assert "was cancelled" in await press(people, "dora", wanted_for_staging, "withdraw")
    history = (await people.answer(await people.slash("bob", "history", environment="staging"))).message
    assert "v0.0" not in history.text
    (older,) = (one.custom_id for one in history.buttons)
    of_dev = await started(people, "dora", wanted_for_dev, "confirm")
    of_prod = await started(people, "anna", await approval(people, "prod"), "approve")
    await killed(bot, people)
    turned = await people.answer(await people.click("bob", history, older), deadline_seconds=ANSWER_SECONDS)
    assert "v0.0" in turned.message.text
    told = await outcome(people, of_prod)
    assert "succeeded" in told.text
    assert "approved by" in told.text
    assert shop.containers("staging") == []
    assert shop.running("prod") == {"web": image_ids["v1"]}
    return await outcome(people, of_dev)


async def outcome_and_alert_are_too(bot, people, shop, image_ids, told: Message) -> None:
    """A release is brought back, a deployment is cancelled that another bot began, and an alert acknowledged."""
    assert "succeeded" in told.text
    assert shop.running("dev") == {"web": image_ids["v2"]}
    web = next(container for container in shop.containers("prod") if container.labels[SERVICE_LABEL] == "web")
    web.stop(timeout=1)
    alert = await people.wait_for_message(lambda one: "web was stopped manually" in one.text, ANSWER_SECONDS)
    await killed(bot, people)
    assert "acknowledged by you" in await press(people, "dora", alert, "ack")
    clicked = await people.click("dora", told, button(told, "rollback"))
    plan = (await people.answer(clicked, deadline_seconds=ANSWER_SECONDS)).message
    begun = await start(people, "dora", "deploy", environment="staging", version="v3")
    message = await live(people, begun, "execution")
    form = await people.click("dora", message, button(message, "cancel"))
    assert (await people.answer(form)).modal is not None
    await killed(bot, people)
    cancelled = await people.submit(form, reason="wrong branch")
    back = await started(people, "dora", plan, "confirm")
    await people.answer(cancelled)
    told = await outcome(people, begun)
    assert "cancelled" in told.text
    assert "wrong branch" in told.text
    assert "succeeded" in (await outcome(people, back)).text
    assert shop.running("dev") == {"web": image_ids["v1"]}
    assert shop.containers("staging") == []
    posts = [one for one in await people.messages() if "· outcome" in one.text]
    assert len(posts) == 5, "each deployment is reported once"
    acknowledged = [one for one in await people.messages() if "web was stopped manually" in one.text]
    assert [(one.id, "acknowledged" in one.text) for one in acknowledged] == [(alert.id, True)]
