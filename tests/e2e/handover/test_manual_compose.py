"""After the bot has replaced itself, and whatever hung up, Compose by hand knows the container as its own."""

import asyncio
from typing import Any

import pytest

from testbed.container_processes import ACTIVE, successor, until
from tests.e2e.handover.conftest import other_version, started
from tests.integration.sandbox.channel import ask, outcome, start

pytestmark = pytest.mark.timeout(300)

END_SECONDS = 150.0


async def test_compose_finds_no_conflict_orphan_or_second_bot(home, people, images):
    version = other_version(home, images)
    deployment_id = await start(people, "dora", "deploy", environment="dev", version=version)
    new = await hang_up(home)
    told = await outcome(people, deployment_id, seconds=END_SECONDS)
    assert "succeeded" in told.text, told.text
    (bot,) = home.bots(stopped=True)
    assert (bot.id, bot.status, bot.attrs["Image"]) == (new.id, "running", images[version])
    assert bot.attrs["RestartCount"] == 0, "a hangup ended it"
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


async def hang_up(home) -> Any:
    """Send SIGHUP to both bots until the new one leads, and return that: such a signal ends neither."""
    old = home.bots()[0]
    before = started(old)
    new = await successor(home, active=False)
    await until(lambda: runs_beside_root(new), "the successor's program does not start", seconds=END_SECONDS)
    while ACTIVE not in new.logs().decode():
        assert started(old) == before
        for bot in home.bots():
            await asyncio.to_thread(bot.kill, signal="SIGHUP")
        await asyncio.sleep(0.1)
    return new


def runs_beside_root(bot: Any) -> bool | None:
    """Tell whether the entrypoint has got so far: until it has read its first line, any signal ends any program."""
    return any("pass-signals" in " ".join(row) for row in bot.top(ps_args="-eo pid,args")["Processes"]) or None
