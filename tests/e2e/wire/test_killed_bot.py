"""A bot that is killed at any step of a deployment finds it at its next start, and brings it to an honest end."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from sandbox.views import Message
from testbed.tasks import end_tasks
from tests.e2e.wire.bot_process import BotProcess
from tests.e2e.wire.conftest import COMMANDS, CONNECT_SECONDS
from tests.e2e.wire.shop import SOON_JUDGED
from tests.integration.sandbox.channel import button, live, outcome, start

MOST_ATTEMPTS = 3
pytestmark = [pytest.mark.wire, pytest.mark.timeout(600)]

NO_MORE_STEPS = 60
# A sample; `script/test --long tests/e2e/wire/test_killed_bot.py` kills at each one as well.
STRIDES = [11, pytest.param(1, marks=pytest.mark.long)]


@pytest.mark.parametrize("stride", STRIDES)
async def test_kill_after_any_step_leaves_one_release(bot_settings, people, shop, image_ids, tmp_path: Path, stride):
    """Kill a bot after an early journalled step, the next after a later one, and so on, until none is left to kill.

    Each resumes what the one before it left, and then begins a deployment of its own. The last one is killed between
    two steps of a deployment that cannot succeed. Of a good version, that is much the same as after any step.
    """
    killed_after: list[int] = []
    step = 1 + stride // 2
    while True:
        bot = BotProcess(bot_settings, tmp_path / f"bot-{step}.log", "tests.e2e.wire.killable_bot")
        await bot.start(MORTAL_AFTER=str(step))
        await people.wait_for_commands(*COMMANDS, deadline_seconds=CONNECT_SECONDS)
        await people.wait_until_connected(CONNECT_SECONDS)
        if killed_after:
            await it_has_ended(people, tmp_path)
            is_whole(shop, image_ids, tmp_path, f"step {killed_after[-1]}")
        if not await dies(bot, people, "deploy", environment="dev", version=("v1", "v2")[len(killed_after) % 2]):
            break
        killed_after.append(step)
        step += stride
        assert step < NO_MORE_STEPS, "a deployment of two services has no end of steps"
    assert len(killed_after) >= 20 // stride, f"only steps {killed_after} were hit"
    print(f"killed after the journalled steps {killed_after}")
    shop.write(store=SOON_JUDGED)
    deployment_id = await start(people, "dora", "deploy", environment="dev", version="v3")
    await live(people, deployment_id, "execution")
    await bot.kill()
    await assert_next_bot_ends_it(bot_settings, people, shop, image_ids, tmp_path, "a random moment of v3")


@pytest.mark.long
async def test_kill_between_steps_resumed(bot, bot_settings, people, shop, image_ids, tmp_path: Path):
    """Kill a bot in the middle of a deployment that would have succeeded."""
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    deployment_id = await start(people, "dora", "deploy", environment="dev", version="v2")
    await live(people, deployment_id, "execution")
    await bot.kill()
    await assert_next_bot_ends_it(bot_settings, people, shop, image_ids, tmp_path, "a random moment of v2")


# What is typed, one after the other, and how many replicas of the web run once it is done.
OPERATIONS: tuple[tuple[str, dict[str, Any], int], ...] = (
    ("restart", {"services": "web"}, 1),
    ("stop", {"services": "web"}, 0),
    ("start", {"services": "web"}, 1),
    ("scale", {"service": "web", "replicas": 2}, 2),
    ("scale", {"service": "web", "replicas": 1}, 1),
)


@pytest.mark.long
async def test_kill_after_any_step_of_an_operation(bot, bot_settings, people, shop, tmp_path: Path):
    """Kill it at a step of each command, then at a later one, until all live on; the next bot ends what was typed."""
    shop.write(alone=True)
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    await bot.stop()
    killed: list[str] = []
    for step in range(1, NO_MORE_STEPS, 3):
        before = len(killed)
        for command, options, replicas in OPERATIONS:
            mortal = BotProcess(bot_settings, tmp_path / f"{command}-{step}.log", "tests.e2e.wire.killable_bot")
            await mortal.start(MORTAL_AFTER=str(step))
            await people.wait_for_commands(*COMMANDS, deadline_seconds=CONNECT_SECONDS)
            await people.wait_until_connected(CONNECT_SECONDS)
            when = f"step {step} of /{command}"
            since = {container.attrs["State"]["StartedAt"] for container in shop.containers("dev")}
            if await dies(mortal, people, command, environment="dev", **options):
                killed.append(when)
                mortal = BotProcess(bot_settings, tmp_path / f"after {command}-{step}.log")
                await mortal.start()
            await it_has_ended(people, tmp_path)
            assert await mortal.stop() == 0, mortal.log.read_text()
            found = [container.attrs["State"] for container in shop.containers("dev")]
            states = sorted(state["Status"] for state in found)
            assert states == (["running"] * replicas or ["exited"]), f"killed at {when}"
            assert command != "restart" or since.isdisjoint(state["StartedAt"] for state in found), when
            with sqlite3.connect(tmp_path / "state" / "journal.sqlite3") as journal:
                assert journal.execute("SELECT id FROM deployments WHERE outcome IS NULL").fetchall() == [], when
                assert journal.execute("SELECT environment FROM locks").fetchall() == [], when
        if len(killed) == before:
            break
    assert len(killed) >= 2 * len(OPERATIONS), f"only {killed}"
    print(f"killed at {killed}")


async def test_repeated_kills_need_operator_and_are_posted(bot, bot_settings, people, shop, tmp_path: Path):
    """A deployment whose bot is killed each time is handed to an operator."""
    ill = {"test": ["CMD", "/no/such/thing"], "interval": "1s", "start_period": "300s"}
    shop.write(alone=True, web={"healthcheck": ill})
    deployment_id = await start(people, "dora", "deploy", environment="dev", version="v1")
    await live(people, deployment_id, "waiting")
    for attempt in range(2, MOST_ATTEMPTS + 1):
        await bot.kill()
        await bot.start()
        await live(people, deployment_id, f"attempt {attempt}")
    await bot.kill()
    await bot.start()
    told = (await outcome(people, deployment_id)).text
    assert f"was interrupted {MOST_ATTEMPTS} times" in told, told
    assert "/rollback dev" in told, told

    def is_alert(message: Message) -> bool:
        return "critical" in message.text.lower() and f"was interrupted {MOST_ATTEMPTS} times" in message.text

    await people.wait_for_message(is_alert, deadline_seconds=CONNECT_SECONDS)
    with sqlite3.connect(tmp_path / "state" / "journal.sqlite3") as journal:
        assert journal.execute("SELECT environment FROM locks").fetchall() == []


async def dies(bot: BotProcess, people, command: str, **options: Any) -> bool:
    """Type a command, say yes where it asks, and tell whether the bot died of it, or lives on when all is over."""
    known = {message.id for message in await people.messages()}

    def is_new_outcome(message: Message) -> bool:
        return message.id not in known and " · outcome" in message.text

    typed = await people.slash("dora", command, **options)
    if command in {"deploy", "stop"}:
        plan = (await people.answer(typed)).message
        await people.click("dora", plan, button(plan, "confirm"))
    end = asyncio.create_task(bot.ended(60))
    told = asyncio.create_task(people.wait_for_message(is_new_outcome, deadline_seconds=60))
    done, pending = await asyncio.wait({end, told}, return_when=asyncio.FIRST_COMPLETED)
    await end_tasks(*pending)
    return end in done


async def assert_next_bot_ends_it(bot_settings, people, shop, image_ids, tmp_path: Path, when: str) -> None:
    """Start a bot and check, from Docker, the journal and the channel, that the interrupted deployment has ended."""
    successor = BotProcess(bot_settings, tmp_path / f"successor of {when}.log")
    await successor.start()
    try:
        await it_has_ended(people, tmp_path)
    finally:
        assert await successor.stop() == 0, successor.log.read_text()
    is_whole(shop, image_ids, tmp_path, when)


async def it_has_ended(people, tmp_path: Path) -> None:
    """Wait until the channel is told of the last deployment's end."""
    deployment_id = last_deployment(tmp_path)
    if deployment_id is not None:
        told = await outcome(people, deployment_id)
        finished = await live(people, deployment_id, "took")
        assert button(finished, "cancel") is None, "a finished deployment offers no cancel"
        assert "succeeded" in told.text or "rolled back" in told.text, told.text


def is_whole(shop, image_ids: dict[str, str], tmp_path: Path, when: str) -> None:
    """Check that the environment is on one release, and that the journal says so."""
    running = shop.running("dev")
    assert len(set(running.values())) <= 1, f"killed at {when}: {running} is a mixture"
    assert set(running) in (set(), {"store", "web"}), f"killed at {when}: {running} is not whole"
    check_journal(tmp_path, shop, running, image_ids, when)


def last_deployment(tmp_path: Path) -> str | None:
    """Return the id of the last deployment in the journal."""
    with sqlite3.connect(tmp_path / "state" / "journal.sqlite3") as journal:
        row = journal.execute("SELECT id FROM deployments ORDER BY substr(id, instr(id, '-')) DESC LIMIT 1").fetchone()
    return None if row is None else row[0]


def check_journal(tmp_path: Path, shop, running: dict[str, str], image_ids: dict[str, str], when: str) -> None:
    """Check that the journal has an end for everything, no lock, and names the release that runs."""
    with sqlite3.connect(tmp_path / "state" / "journal.sqlite3") as journal:
        assert journal.execute("SELECT id FROM deployments WHERE outcome IS NULL").fetchall() == [], when
        assert journal.execute("SELECT environment FROM locks").fetchall() == [], when
        row = journal.execute(
            "SELECT json_extract(r.document, '$.version') FROM environments e JOIN releases r"
            " ON r.environment = e.name AND r.number = e.current_release WHERE e.name = 'dev'"
        ).fetchone()
    assert set(running.values()) == ({image_ids[row[0]]} if row else set()), f"killed at {when}: the journal says {row}"
