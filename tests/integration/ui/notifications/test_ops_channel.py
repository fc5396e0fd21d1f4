"""The ops channel over the wire: a lost message is found, and what is missing is known by its name."""

from datetime import UTC, datetime, timedelta

import discord
import pytest

from roas.ui.drawing import Drawing, MissingPermission
from roas.ui.notifications.ops_channel import ChannelClosedError, MessageGoneError, OpsChannel, PermissionMissingError
from sandbox.client import SandboxClient
from tests.integration.sandbox.conftest import bot, openapi, people, sandbox
from tests.integration.sandbox.small_bot import SmallBot

__all__ = ["bot", "openapi", "people", "sandbox"]
pytestmark = pytest.mark.wire

WANTED = Drawing("DEPLOY-1", (discord.Embed(title="Deploy").set_footer(text="DEPLOY-1"),))


@pytest.fixture
def channel(bot: SmallBot) -> OpsChannel:
    return OpsChannel(bot, bot.sandbox.guild_id, bot.sandbox.ops_channel_id)


async def test_lost_message_found_in_long_history(channel: OpsChannel, people: SandboxClient) -> None:
    began = datetime.now(UTC)
    for number in range(210):
        await people.say("bob", f"is it done yet? {number}")
    posted = await channel.send(WANTED, nonce="1")
    assert await channel.find("DEPLOY-1", after=began) == posted
    assert await channel.find("DEPLOY-2", after=began) is None

    before = len(await looks(people))
    assert await channel.find("DEPLOY-1", after=datetime.now(UTC) + timedelta(hours=1)) is None
    assert len(await looks(people)) == before + 1, "it read on where nothing can be"


async def looks(people: SandboxClient) -> list[object]:
    return [
        request
        for request in await people.requests()
        if request["method"] == "GET" and request["path"].endswith("/messages")
    ]


async def test_missing_permission_or_target_typed(bot: SmallBot, channel: OpsChannel, people: SandboxClient) -> None:
    message_id = await channel.send(WANTED, nonce="1")
    await people.deny_bot("embed_links")
    with pytest.raises(PermissionMissingError):
        await channel.send(WANTED, nonce="2")
    await people.deny_bot("view_channel")
    with pytest.raises(ChannelClosedError) as closed:
        await channel.send(WANTED, nonce="2")
    assert closed.value.missing_permission is MissingPermission.VIEW
    await people.deny_bot()
    await people.delete_message(message_id)
    with pytest.raises(MessageGoneError):
        await channel.edit(message_id, WANTED)
    await people.delete_channel()
    for attempt in (channel.send(WANTED, nonce="2"), channel.edit(message_id, WANTED)):
        with pytest.raises(ChannelClosedError) as closed:
            await attempt
        assert closed.value.missing_permission is MissingPermission.CHANNEL
