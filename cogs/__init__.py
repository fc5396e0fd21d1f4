"""Speak with Discord: `await bot.load_extension("cogs")` makes any discord.py bot deploy, watch and roll back.

A bot that has an open application as its attribute `roas` lends it; for any other bot one is opened from the settings
and closed when the extension is unloaded.
"""

from contextlib import AsyncExitStack

import discord
from discord.ext import commands

from bot.errors import SettingsError
from bot.integration import Application, open_application
from bot.settings import Settings, load_settings
from bot.ui.command_translator import CommandTranslator
from bot.ui.live_messages import Calls, LiveMessages
from bot.ui.ops_channel import OpsChannel
from bot.ui.outbox import Outbox
from bot.ui.voice import Voice
from cogs.alerts import AlertsCog
from cogs.application_cog import ApplicationCog
from cogs.command_sync import CommandSync
from cogs.deployment import DeploymentCog
from cogs.freeze import FreezeCog
from cogs.history import HistoryCog
from cogs.logs import LogsCog
from cogs.status import StatusCog


async def setup(bot: commands.Bot) -> None:
    """Load every cog. Raises SettingsError, StateError."""
    async with AsyncExitStack() as opened:
        application = await _application(bot, opened)
        guild_id, channel_id = _place(application.settings)
        voice = getattr(bot, "roas_voice", None) or Voice()
        messages = LiveMessages(
            application.state,
            application.bus,
            Outbox(application.state, OpsChannel(bot, guild_id, channel_id)),
            voice=voice,
            calls=_calls(application.settings),
            redact=application.redactor.redact,
        )
        guild = discord.Object(guild_id)
        await bot.add_cog(DeploymentCog(bot, application, voice, messages), guild=guild)
        await bot.add_cog(StatusCog(bot, application, voice, messages), guild=guild)
        for kind in (HistoryCog, LogsCog, FreezeCog, AlertsCog):
            await bot.add_cog(kind(bot, application, voice), guild=guild)
        await bot.tree.set_translator(CommandTranslator(bot.tree.translator))
        sync = CommandSync(bot, application.state, guild_id)
        await bot.add_cog(ApplicationCog(bot, sync, voice, opened.pop_all()))


async def _application(bot: commands.Bot, opened: AsyncExitStack) -> Application:
    """Take the bot's application, or open one that `opened` closes."""
    lent: Application | None = getattr(bot, "roas", None)
    if lent is not None:
        return lent
    application = await opened.enter_async_context(open_application(load_settings(needs_discord=False)))
    await application.orchestrator.resume()
    await application.guard.begin()
    application.watch_itself()
    return application


def _calls(settings: Settings) -> Calls:
    """Return whom the bot may call."""
    approvers = sorted(settings.discord_approver_role_ids) if settings.discord_mention_approvers else ()
    return Calls(settings.discord_alert_role_id, tuple(approvers))


def _place(settings: Settings) -> tuple[int, int]:
    """Return the guild and the ops channel, without which nobody could do anything."""
    guild_id, channel_id = settings.discord_guild_id, settings.discord_ops_channel_id
    if guild_id is None or channel_id is None:
        raise SettingsError(
            "DISCORD_GUILD_ID and DISCORD_OPS_CHANNEL_ID are needed.",
            hint="Copy both ids from Discord (developer mode, right click) into .env.",
        )
    return guild_id, channel_id
