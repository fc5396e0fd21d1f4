"""A bot that is killed at any step of a rollout, in the middle of a batch or of a pause, leaves one release."""

import asyncio
import random
import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest

from sandbox.client import SandboxClient
from sandbox.errors import ControlError
from sandbox.views import Message
from testbed.tasks import end_tasks
from tests.e2e.wire.bot_process import BotProcess
from tests.e2e.wire.conftest import COMMANDS, CONNECT_SECONDS
from tests.e2e.wire.test_killed_bot import last_deployment
from tests.e2e.wire.test_paused_rollout import doomed
from tests.integration.sandbox.channel import button, outcome, press, start

pytestmark = [pytest.mark.wire, pytest.mark.timeout(900), pytest.mark.long]
__all__ = ["doomed"]

PAUSING = {"replicas": 3, "update_config": {"parallelism": 1, "failure_action": "pause", "delay": "300ms"}}
NO_MORE_STEPS = 90
# A sample, another one each time; and at each one, until a bot survives it.
STRIDES = [(15, 3), (1, NO_MORE_STEPS)]


@pytest.mark.parametrize(("stride", "most"), STRIDES)
async def test_kill_after_any_step_of_a_rollout(bot_settings, people, shop, image_ids, doomed, tmp_path, stride, most):
    """Each replica ends: it pauses, goes on, pauses again, and is taken back; whoever takes over takes it back."""
    shop.write(alone=True, web={"deploy": PAUSING})
    bot = BotProcess(bot_settings, tmp_path / "first.log")
    await bot.start()
    await connected(people)
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    await bot.stop()
    killed_after: list[int] = []
    step = random.randint(1, stride)
    while True:
        bot = BotProcess(bot_settings, tmp_path / f"bot-{step}.log", "tests.e2e.wire.killable_bot")
        await bot.start(MORTAL_AFTER=str(step))
        await connected(people)
        if killed_after:
            await is_taken_back(people, tmp_path)
            is_whole(shop, image_ids, f"step {killed_after[-1]}")
        if len(killed_after) == most:
            await bot.stop()
            break
        if not await dies(bot, people, doomed):
            break
        killed_after.append(step)
        step += stride
        assert step < NO_MORE_STEPS, "a rollout of three replicas has no end of steps"
    is_whole(shop, image_ids, "no step")
    assert len(killed_after) >= min(most, 21) - 1, f"only steps {killed_after} were hit"
    print(f"killed after the journalled steps {killed_after}")


async def connected(people: SandboxClient) -> None:
    """Wait until commands can be typed."""
    await people.wait_for_commands(*COMMANDS, deadline_seconds=CONNECT_SECONDS)
    await people.wait_until_connected(CONNECT_SECONDS)


async def dies(bot: BotProcess, people: SandboxClient, version: str) -> bool:
    """Deploy, go on with the first pause and take it back at the second, unless the bot dies of it meanwhile."""
    known = {message.id for message in await people.messages()}
    plan = (await people.answer(await people.slash("dora", "deploy", environment="dev", version=version))).message
    await people.click("dora", plan, button(plan, "confirm"))
    end = asyncio.create_task(bot.ended(200))
    told = asyncio.create_task(decide(people, known, ("go-on", "take-back")))
    done, pending = await asyncio.wait({end, told}, return_when=asyncio.FIRST_COMPLETED)
    if end in done:
        await end_tasks(*pending)
        return True
    await end_tasks(end)
    told.result()
    await bot.stop()
    return False


async def decide(people: SandboxClient, known: set[str], choices: tuple[str, ...]) -> None:
    """Press a button on each new question, then wait for the outcome."""
    for what in choices:
        message = await asked_or_told(people, known)
        if not message.buttons or "· outcome" in message.text:
            return
        known.add(message.id)
        await press(people, "dora", message, what)
    await asked_or_told(people, known)


async def asked_or_told(people: SandboxClient, known: set[str]) -> Message:
    """Wait for a question with buttons, or an outcome, that was not seen before."""

    def is_news(message: Message) -> bool:
        asks = " · pause " in message.text and button(message, "go-on") is not None
        return message.id not in known and (asks or " · outcome" in message.text)

    return await people.wait_for_message(is_news, deadline_seconds=150)


async def is_taken_back(people: SandboxClient, tmp_path: Path) -> None:
    """Take the last deployment back, wherever it is, and wait for its outcome.

    A question that still has its buttons may be answered already, by who let the dead bot go on: another one follows.
    """
    deployment_id, pressed = last_deployment(tmp_path), set[str]()

    def is_news(message: Message) -> bool:
        asks = f"{deployment_id} · pause " in message.text and button(message, "take-back") is not None
        return (asks and message.id not in pressed) or f"{deployment_id} · outcome" in message.text

    while "· outcome" not in (message := await people.wait_for_message(is_news, deadline_seconds=150)).text:
        pressed.add(message.id)
        with suppress(ControlError):  # its buttons went between the look and the click
            await press(people, "anna", message, "take-back")
    assert "rolled back" in message.text or "stays on" in message.text, message.text
    with sqlite3.connect(tmp_path / "state" / "journal.sqlite3") as journal:
        assert journal.execute("SELECT id FROM deployments WHERE outcome IS NULL").fetchall() == []
        assert journal.execute("SELECT environment FROM locks").fetchall() == []


def is_whole(shop, image_ids: dict[str, str], when: str) -> None:
    """Check that v1 runs, all of it, and nothing else."""
    found = [container.attrs for container in shop.containers("dev")]
    assert [attrs["Image"] for attrs in found] == [image_ids["v1"]] * 3, f"killed at {when}: a mixture"
    assert {attrs["State"]["Health"]["Status"] for attrs in found} == {"healthy"}, f"killed at {when}"
