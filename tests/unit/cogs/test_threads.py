"""A thread is opened below a message once, and takes messages as the channel does."""

import discord

from roas.ui.drawing import Drawing
from roas.ui.notifications.ops_channel import OpsChannel
from tests.unit.cogs.conftest import Scene


async def test_thread_below_a_message(scene: Scene) -> None:
    channel = OpsChannel(scene.env.bot, scene.guild.id, scene.ops.id)
    embed = discord.Embed(title="a proposal").set_footer(text="PROP-1")
    message = await channel.send(Drawing("PROP-1", (embed,)), nonce="1")
    for _time in range(2):  # a process that died may have opened it
        thread = await channel.below(message, "dev v1")
        assert thread.id == message
    sent = await thread.send(Drawing("DEPLOY-1", (discord.Embed(title="details"),)), nonce="2")
    await thread.edit(sent, Drawing("DEPLOY-1", (discord.Embed(title="more details"),)))
