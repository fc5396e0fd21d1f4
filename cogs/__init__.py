"""Speak with Discord: `await bot.load_extension("cogs")` makes any discord.py bot deploy, watch and roll back.

A bot that has an open application as its attribute `roas` lends it, and sees itself to its standby. For any other bot
an application is opened from the settings, and the whole bot stands by while another one of the same STATE_DIR speaks;
unloading the extension ends both. docs/plugin.md says what that means for the bot.
"""

from contextlib import AsyncExitStack

import discord
from discord.ext import commands

from bot.duties import standing_by
from bot.errors import SettingsError
from bot.integration import Application, open_application
from bot.models.ownership import Readiness
from bot.settings import Settings, load_settings
from bot.ui.command_translator import CommandTranslator
from bot.ui.contact import Contact
from bot.ui.journal_loss import JournalLossNotifier
from bot.ui.live_messages import Calls, LiveMessages
from bot.ui.ops_channel import OpsChannel
from bot.ui.outbox import Outbox
from bot.ui.outboxes import Outboxes
from bot.ui.standby_gate import StandbyGate
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
        application, voice = await _application(bot, opened)
        guild_id, channel_id = _place(application.settings)
        messages = LiveMessages(
            application.state,
            application.bus,
            _outboxes(bot, application, guild_id, channel_id),
            voice=voice,
            calls=_calls(application.settings),
            redact=application.redactor.redact,
        )
        guild = discord.Object(guild_id)
        await bot.add_cog(DeploymentCog(bot, application, voice, messages), guild=guild)
        await bot.add_cog(StatusCog(bot, application, voice, messages), guild=guild)
        for kind in (HistoryCog, LogsCog, FreezeCog, AlertsCog):
            await bot.add_cog(kind(bot, application, voice), guild=guild)
        await _translate(bot, opened)
        sync = CommandSync(bot, application.state, guild_id)
        await bot.add_cog(ApplicationCog(bot, sync, voice, opened.pop_all()))


def _outboxes(bot: commands.Bot, application: Application, guild_id: int, channel_id: int) -> Outboxes:
    """Make an outbox for the ops channel, and one for each other channel that environments have of their own."""
    settings = application.settings
    by_channel: dict[int, Outbox] = {}
    for name, own in settings.own_channels.items():
        channel, setting = OpsChannel(bot, guild_id, own), settings.channel_of(name)[1]
        by_channel.setdefault(own, Outbox(application.state, channel, setting=setting))
    main = Outbox(application.state, OpsChannel(bot, guild_id, channel_id))
    return Outboxes(main, {name: by_channel[own] for name, own in settings.own_channels.items()})


async def _application(bot: commands.Bot, opened: AsyncExitStack) -> tuple[Application, Voice]:
    """Take the bot's application, or open one that `opened` closes, and let the bot stand by for its turn."""
    lent: Application | None = getattr(bot, "roas", None)
    if lent is not None:
        return lent, getattr(bot, "roas_voice", None) or Voice()
    settings = load_settings(needs_discord=False)
    _place(settings)  # before anything is opened
    application = await opened.enter_async_context(open_application(settings))
    if bot.http.token:
        application.redactor.add((bot.http.token,))
    voice = Voice(active=False)
    gate = StandbyGate(bot, voice)
    opened.callback(gate.remove)
    contact = Contact()

    def readiness() -> Readiness:
        loaded = bot.get_cog(ApplicationCog.__cog_name__) is not None
        return Readiness(gateway_ready=contact.is_there(bot), cogs_loaded=loaded)

    notify = JournalLossNotifier(bot, settings)
    await opened.enter_async_context(standing_by(application, voice, readiness, notify.run))
    return application, voice


async def _translate(bot: commands.Bot, opened: AsyncExitStack) -> None:
    """Put our translator before the bot's own; `opened` brings that one back."""
    own = bot.tree.translator
    ours = CommandTranslator(own)
    await bot.tree.set_translator(ours)

    async def restore() -> None:
        if bot.tree.translator is ours:
            await bot.tree.set_translator(own)

    opened.push_async_callback(restore)


def _calls(settings: Settings) -> Calls:
    """Return whom the bot may call."""
    approvers = sorted(settings.discord_approver_role_ids) if settings.discord_mention_approvers else ()
    return Calls(settings.discord_alert_role_id, tuple(approvers))


def _place(settings: Settings) -> tuple[int, int]:
    """Return the guild and the ops channel, without which nobody could do anything. Raises SettingsError."""
    guild_id, channel_id = settings.discord_guild_id, settings.discord_ops_channel_id
    if guild_id is not None and channel_id is not None:
        return guild_id, channel_id
    ids = {"DISCORD_GUILD_ID": guild_id, "DISCORD_OPS_CHANNEL_ID": channel_id}
    missing = [name for name, value in ids.items() if value is None]
    raise SettingsError(
        f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing.",
        hint="In Discord, turn on the developer mode, copy the id by a right click on the server or channel, and put "
        "it into the environment or into .env.",
    )
