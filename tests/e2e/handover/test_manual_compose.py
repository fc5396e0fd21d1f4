"""After the bot has replaced itself, Compose by hand knows the container as its own."""

import asyncio

import pytest

from tests.e2e.handover.conftest import other_version
from tests.integration.sandbox.channel import ask, outcome, start

pytestmark = pytest.mark.timeout(300)


async def test_compose_finds_no_conflict_orphan_or_second_bot(home, people, images):
    version = other_version(home, images)
    told = await outcome(people, await start(people, "dora", "deploy", environment="dev", version=version))
    assert "succeeded" in told.text, told.text
    bot = home.bots()[0]
    assert home.compose("ps", "-q", "discord-bot").split() == [bot.id]
    assert "this bot leads now" in home.compose("logs", "discord-bot")

    code, said = bot.exec_run(["python", "-m", "roas", "compose", "dev", "--", "up", "-d"])
    assert code == 0, said
    assert [one.id for one in home.bots(stopped=True)] == [bot.id], "the release's own file changes nothing"

    said = await asyncio.to_thread(home.compose, "up", "-d")
    assert "orphan" not in said
    assert [one.status for one in home.bots(stopped=True)] == ["running"]
    await people.wait_until_connected(60)
    assert "healthy" in await ask(people, "dora", "status", environment="dev")

    said = await asyncio.to_thread(home.compose, "down")
    assert home.everything() == []
