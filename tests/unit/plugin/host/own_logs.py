"""A cog of the host's, under a name that ours had once."""

import discord
from discord import app_commands
from discord.ext import commands


class Logs(commands.Cog):
    """Listen, and answer a command."""

    @commands.Cog.listener()
    async def on_member_join(self, member: discord.Member) -> None:
        """Say hello."""

    @app_commands.command(description="The host's own log")
    async def journal(self, interaction: discord.Interaction) -> None:
        """Answer as the host."""
        await interaction.response.send_message("the host's journal")


async def setup(bot: commands.Bot) -> None:
    """Add the cog."""
    await bot.add_cog(Logs(), guild=bot.server)
