"""A bot on another journal is left alone, and one that lost its journal acts no more."""

import asyncio
import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from docker.errors import APIError

from testbed.compose_labels import PROJECT_LABEL
from testbed.container_processes import ACTIVE, until
from testbed.home_stack import BOT_SERVICE, Home
from tests.e2e.handover.conftest import clear_away, other_version
from tests.integration.sandbox.channel import ask

DUPLICATE_TOKEN = "another bot uses this bot's token"
SHARED_FOLDER = "two stacks use one state folder"
STATE_SHARED = "state folder of another stack"
PATIENCE_SECONDS = 60.0  # of a bot that is not on the journal
pytestmark = pytest.mark.timeout(480)

START_SECONDS = 150.0
LEADS = ACTIVE.encode()
STOPPED = "This bot has stopped acting"
# A beat is a second; Docker, the sandbox and a loaded machine take theirs.
NOTICE_SECONDS = 30.0


def seen(home: Home) -> dict[str, tuple[str, int, str]]:
    """Return of each bot's container what Docker says: its state, its restarts and since when it runs."""
    found = {}
    for bot in home.bots(stopped=True):
        state = home.client.api.inspect_container(bot.id)
        found[bot.id] = (state["State"]["Status"], state["RestartCount"], state["State"]["StartedAt"])
    return found


def health(container) -> tuple[int, dict[str, object]]:
    """Return what a bot's /health says, asked as Docker's health check does."""
    _, said = container.exec_run(["/usr/local/bin/healthcheck.real"])
    status, _, body = said.decode().strip().partition(" ")
    return (int(status), json.loads(body)) if status.isdigit() else (0, {})


def on_one_journal(*bots) -> bool:
    """Tell whether all are well, and on the same journal."""
    seen = [health(bot) for bot in bots]
    return all(status == 200 for status, _ in seen) and len({said["journal"] for _, said in seen}) == 1


async def told(people, text: str, before: set[int], seconds: float) -> str:
    """Wait for a message in the channel, newer than those of before, that has these words."""
    new = await people.wait_for_message(lambda m: m.id not in before and text in m.text, deadline_seconds=seconds)
    return new.text


async def posted(people) -> set[int]:
    return {message.id for message in await people.messages()}


async def test_plan_that_moves_state_dir_is_refused(home, people, images):
    before = seen(home)
    settings = home.folder / ".env"
    written = settings.read_text()
    moved = home.folder / "moved"
    settings.write_text(written.replace(f"STATE_DIR={home.folder}/state", f"STATE_DIR={moved}"))
    try:
        answer = await ask(people, "dora", "deploy", environment="dev", version=other_version(home, images))
    finally:
        settings.write_text(written)
    assert "would keep its state in" in answer, answer
    assert f"mv {home.folder}/state {moved}" in answer, answer
    assert seen(home) == before
    assert not moved.exists()


@pytest.mark.long
async def test_bot_with_another_state_dir_is_left_alone(home, people):
    """It is started by hand, of another configuration: each of the two would have removed the other."""
    own, old = home.bots()[0], await posted(people)
    elsewhere = home.folder / "elsewhere"
    other = second_bot(home, {"com.docker.compose.config-hash": "by-hand"}, STATE_DIR=str(elsewhere))
    before = seen(home)
    assert set(before) == {own.id, other.id}
    await told(people, "is not on this bot's journal", old, PATIENCE_SECONDS + START_SECONDS)
    other.exec_run(["roas", "restore", "--new"])  # the engine may have releases of the first one's journal
    await until(lambda: ACTIVE in other.logs().decode() or None, "it does not lead", seconds=START_SECONDS)
    await until(lambda: "left alone" in other.logs().decode() or None, "it did not look", seconds=START_SECONDS)
    await asked_until_named(people, old)
    assert seen(home) == before
    assert elsewhere.joinpath("journal.sqlite3").exists()
    other.remove(force=True)


async def asked_until_named(people, before: set[int]) -> None:
    """Ask until one of two bots with one token has met the other often enough to say so."""
    async with asyncio.timeout(START_SECONDS):
        while not any(
            DUPLICATE_TOKEN in message.text for message in await people.messages() if message.id not in before
        ):
            await ask(people, "dora", "status", environment="dev")


@pytest.mark.long
async def test_bot_of_another_stack_on_this_journal_is_named(home, people):
    """Two stacks were given one STATE_DIR: one of them answers, the other one says that it does not."""
    own, old = home.bots()[0], await posted(people)
    before = seen(home)
    other = second_bot(home, {PROJECT_LABEL: "shop"}, COMPOSE_PROJECT_NAME="shop")
    try:
        said = await told(people, SHARED_FOLDER, old, START_SECONDS)
        assert "Bots of shop use" in said, said
        answer = await until(lambda: health(other) if health(other)[0] == 503 else None, "well", seconds=START_SECONDS)
        assert answer[1]["status"] == STATE_SHARED
        assert (
            answer[1]["reason"]
            == f"{home.folder}/state is the state folder of the running stack home; this one is shop."
        )
        assert health(own)[0] == 200
        assert "healthy" in await ask(people, "dora", "status", environment="dev")
    finally:
        other.remove(force=True)
    assert seen(home) == before


def second_bot(home: Home, labels: dict[str, str], **variables: str) -> Any:
    """Start a container like the bot's by hand, with other labels and variables, its state where they say."""
    inspected = home.client.api.inspect_container(home.bots()[0].id)
    kept = [item for item in inspected["Config"]["Env"] if item.partition("=")[0] not in variables]
    state = str(home.folder / "state")
    binds = [text for text in inspected["HostConfig"]["Binds"] if not text.startswith(f"{state}:")]
    state = variables.get("STATE_DIR", state)
    return home.client.containers.run(
        inspected["Image"],
        detach=True,
        environment=[*kept, *(f"{name}={value}" for name, value in variables.items())],
        volumes=[*binds, f"{state}:{state}"],
        labels=inspected["Config"]["Labels"] | labels,
        network=next(iter(inspected["NetworkSettings"]["Networks"])),
    )


@pytest.mark.long
async def test_bot_that_lost_its_journal_acts_no_more(home, people):
    """Its folder is moved away while it runs: it stops, and the next one begins another journal.

    By itself, since nothing was deployed by the first. Where a person begins it by `roas restore --new`, the first one
    hears of that, too, and joins it.
    """
    clear_away(home)
    await asyncio.to_thread(home.compose, "up", "-d")
    try:
        await stops_acting(home, people)
        await leaves_the_journal_to_the_next(home, people)
    finally:
        shutil.rmtree(home.folder / "state.old", ignore_errors=True)


async def stops_acting(home, people) -> None:
    """Take the journal away, and see that the bot says by all ways that it has lost it."""
    (first,), old = home.bots(), await posted(people)
    await until(lambda: health(first)[0] == 200 or None, "not well", seconds=START_SECONDS)
    before = seen(home)
    state = home.folder / "state"
    state.rename(state.with_name("state.old"))
    # Before it knows that the journal is lost it may say that it cannot be read.
    _, said = await until(
        lambda: found if (found := health(first))[0] == 503 and found[1]["status"] == "journal lost" else None,
        "not noticed",
        seconds=NOTICE_SECONDS,
    )
    content = await told(people, STOPPED, old, NOTICE_SECONDS)
    new = [message.text for message in await people.messages() if message.id not in old]
    assert sum(STOPPED in text for text in new) == 1
    assert first.name in content
    assert str(said["reason"])[:20] in content
    assert seen(home) == before
    assert not (state / "journal.sqlite3").exists(), "it does not begin another one under its own feet"


async def leaves_the_journal_to_the_next(home, people) -> None:
    """Start another bot, which begins a new journal: the first is left alone until it is started again."""
    (first,), old, before = home.bots(), await posted(people), seen(home)
    home.compose("up", "-d", "--no-recreate", "--scale", f"{BOT_SERVICE}=2", BOT_SERVICE)
    second = next(bot for bot in home.bots() if bot.id != first.id)
    await until(lambda: ACTIVE in second.logs().decode() or None, "it does not lead", seconds=START_SECONDS)
    # That people are told of it after a while is shown above.
    await until(lambda: "left alone" in second.logs().decode() or None, "it did not look", seconds=START_SECONDS)
    assert seen(home)[first.id] == before[first.id]
    new = [message.text for message in await people.messages() if message.id not in old]
    assert not [text for text in new if STOPPED in text and first.name in text], "it was said before, and once"
    first.restart()
    await until(lambda: on_one_journal(first, second) or None, "not on one journal", seconds=START_SECONDS)
    ended = asyncio.create_task(asyncio.to_thread(second.wait))  # afterwards it may be swept at any time
    await leads_after(second.stop, first)
    assert (await ended)["StatusCode"] == 0, "it leaves in order"
    with suppress(APIError):  # who leads sweeps it away, too
        second.remove(force=True)


async def leads_after(act: Callable[[], object], bot: Any) -> None:
    """Do something, and wait until a bot leads because of it."""
    times = bot.logs().count(LEADS)
    await asyncio.to_thread(act)
    await until(lambda: bot.logs().count(LEADS) > times or None, "it does not lead again", seconds=START_SECONDS)
