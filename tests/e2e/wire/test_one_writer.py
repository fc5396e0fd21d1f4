"""An owner that is stopped between its fence check and its engine call changes nothing when it wakes up."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from testbed.container_processes import until
from tests.e2e.wire.bot_process import BotProcess
from tests.e2e.wire.command_line import roas
from tests.e2e.wire.conftest import COMMANDS, CONNECT_SECONDS
from tests.integration.sandbox.channel import outcome, start

pytestmark = pytest.mark.wire

STOPPING = "tests.e2e.wire.stopping_bot"
WAKES_SECONDS = 90.0


@pytest.fixture
def mark(tmp_path: Path, bot_settings) -> Path:
    """Name the file that makes the next one stop itself."""
    bot_settings["STOPS_WHERE"] = str(tmp_path / "stop")
    return tmp_path / "stop"


@asynccontextmanager
async def living(bot_settings: dict[str, str], log: Path) -> AsyncIterator[BotProcess]:
    """Run a bot that can stop itself."""
    bot = BotProcess(bot_settings, log, STOPPING)
    await bot.start()
    try:
        yield bot
    finally:
        await bot.kill()


async def stopped(mark: Path, bot: BotProcess, people, version: str) -> str:
    """Let a bot stop itself while it deploys a version, and return that deployment's id."""
    mark.touch()
    deployment_id = await start(people, "dora", "deploy", environment="dev", version=version)
    await is_stopped(bot.pid)
    return deployment_id


async def is_stopped(pid: int) -> None:
    await until(lambda: state_of(pid) == "T" or None, "it was not stopped", seconds=WAKES_SECONDS)


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def test_stopped_owner_changes_nothing(mark, bot_settings, people, shop, image_ids, tmp_path, long_lane):
    """Whoever takes over ends it first: the next bot, and in the long lane the command line."""
    shop.write(alone=True)
    if long_lane:
        await command_line_ends_hung_one_and_finishes(mark, bot_settings, shop, image_ids, tmp_path)
    else:  # what is new is made with all else at once: a service of its own is made in the place of an older one
        assert (await roas(bot_settings, "deploy", "dev", "v2"))[0] == 0
    async with living(bot_settings, tmp_path / "first.log") as first:
        await people.wait_for_commands(*COMMANDS, deadline_seconds=CONNECT_SECONDS)
        await people.wait_until_connected(CONNECT_SECONDS)
        deployment_id = await stopped(mark, first, people, "v1")
        async with living(bot_settings, tmp_path / "second.log") as second:
            told = await outcome(people, deployment_id)
            assert "succeeded" in told.text
            assert await first.ended() == -signal.SIGKILL, "nothing is left that could wake up"
            assert shop.running("dev") == {"web": image_ids["v1"]}
            assert await second.stop() == 0, second.log.read_text()


async def command_line_ends_hung_one_and_finishes(mark, bot_settings, shop, image_ids, tmp_path):
    """What it finishes is what was asked of both."""
    assert (await roas(bot_settings, "deploy", "dev", "v1"))[0] == 0
    mark.touch()
    hung = BotProcess(bot_settings, tmp_path / "stopped.log", STOPPING)
    await hung.start("deploy", "dev", "v2")
    try:
        await is_stopped(hung.pid)
        async with asyncio.timeout(WAKES_SECONDS):
            said = ""
            while "Resuming" not in said:  # refused for as long as the other may only be slow
                code, said = await roas(bot_settings, "deploy", "dev", "v2", module=STOPPING)
        assert code == 0, said
        assert await hung.ended() == -signal.SIGKILL
        assert shop.running("dev") == {"web": image_ids["v2"]}
    finally:
        await hung.kill()
