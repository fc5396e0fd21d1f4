"""Two bots with one token, each on its own journal: the channel learns of it, whichever answers."""

import asyncio

import pytest

from sandbox.client import SandboxClient
from tests.e2e.wire.bot_process import BotProcess

DUPLICATE_TOKEN = "another bot uses this bot's token"
pytestmark = [pytest.mark.wire, pytest.mark.long]

DEADLINE_SECONDS = 90.0


async def test_duplicate_token_is_named(bot, bot_settings, people: SandboxClient, tmp_path) -> None:
    other = BotProcess(bot_settings | {"STATE_DIR": str(tmp_path / "other")}, tmp_path / "other.log")
    await other.start()
    try:
        await people.wait_until_connected(30.0, sessions=2)
        asking = asyncio.create_task(_keep_asking(people))
        said = await people.wait_for_message(
            lambda message: DUPLICATE_TOKEN in message.text, deadline_seconds=DEADLINE_SECONDS
        )
        asking.cancel()
        assert "were answered by another process" in said.text
    finally:
        await other.stop()


async def _keep_asking(people: SandboxClient) -> None:
    while True:
        await people.slash("dora", "status")
        await asyncio.sleep(1.0)
