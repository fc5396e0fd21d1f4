"""What arrives in a text channel is what was drawn, seen with dpytest's simulated channel."""

from collections.abc import AsyncIterator
from pathlib import Path

import discord
import discord.ext.test as dpytest
import pytest
from discord.ext import commands

from roas.models.deployment import Outcome
from roas.ui.drawing import Drawing
from roas.ui.embeds.live import draw_live
from roas.ui.embeds.outcome import draw_outcome
from roas.ui.notifications.ops_channel import OpsChannel
from tests.unit.ui.samples import a_deployment, largest_deployment


@pytest.fixture
async def channel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[OpsChannel]:
    monkeypatch.chdir(tmp_path)  # dpytest keeps attachments in the working directory
    bot = commands.Bot(command_prefix="!", intents=discord.Intents.all())
    await bot._async_setup_hook()
    dpytest.configure(bot)
    guild = dpytest.get_config().guilds[0]
    text_channel = guild.text_channels[0]
    # dpytest knows cached channels only, whereas we post to a channel by its id.
    monkeypatch.setattr(bot, "get_partial_messageable", lambda *_ids, **_more: text_channel)
    yield OpsChannel(bot, guild.id, text_channel.id)
    await dpytest.empty_queue()


@pytest.mark.parametrize(
    "drawing",
    [
        draw_live(a_deployment()),
        draw_live(largest_deployment()),
        draw_outcome(a_deployment(outcome=Outcome.SUCCEEDED)),
        draw_outcome(a_deployment(outcome=Outcome.CANCELLED)),
        draw_outcome(a_deployment(outcome=Outcome.ROLLED_BACK)),
    ],
    ids=["live", "largest live", "succeeded", "cancelled", "rolled back"],
)
async def test_channel_gets_exactly_drawn_embed(channel: OpsChannel, drawing: Drawing) -> None:
    await channel.send(drawing, nonce="1")
    assert dpytest.verify().message().embed(drawing.embeds[0])
    assert dpytest.verify().message().nothing()


async def test_report_arrives_as_file(channel: OpsChannel) -> None:
    drawing = draw_outcome(largest_deployment(Outcome.FAILED))
    await channel.send(drawing, nonce="1")
    message = dpytest.get_message()
    assert [attachment.filename for attachment in message.attachments] == [a.name for a in drawing.attachments]
