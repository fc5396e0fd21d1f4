"""Speak with Discord: `await bot.load_extension("cogs")` makes any discord.py bot deploy, watch and roll back.

A bot that has an open application as its attribute `roas` lends it, and sees itself to its standby. For any other bot
an application is opened from the settings, and the whole bot stands by while another one of the same STATE_DIR speaks;
unloading the extension ends both. docs/plugin.md says what that means for the bot.
"""

from collections.abc import Sequence
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
from bot.ui.live_messages import Calls, LiveMessages
from bot.ui.ops_channel import OpsChannel
from bot.ui.outbox import Outbox
from bot.ui.standby_gate import StandbyGate
from bot.ui.voice import Voice
from cogs.alerts import AlertsCog
from cogs.application_cog import ApplicationCog
from cogs.command_set import CommandSet
from cogs.command_sync import CommandSync
from cogs.deployment import DeploymentCog
from cogs.freeze import FreezeCog
from cogs.history import HistoryCog
from cogs.logs import LogsCog
from cogs.status import StatusCog


async def setup(bot: commands.Bot) -> None:
    """Load every cog, or leave the bot as it was. Raises SettingsError, StateError."""
    async with AsyncExitStack() as opened:
        application, voice = await _application(bot, opened)
        guild_id, channel_id = _place(application.settings)
        messages = LiveMessages(
            application.state,
            application.bus,
            Outbox(application.state, OpsChannel(bot, guild_id, channel_id)),
            voice=voice,
            calls=_calls(application.settings),
            redact=application.redactor.redact,
        )
        cogs = [
            DeploymentCog(bot, application, voice, messages),
            StatusCog(bot, application, voice, messages),
            *(kind(bot, application, voice) for kind in (HistoryCog, LogsCog, FreezeCog, AlertsCog)),
        ]
        await _add(bot, cogs, discord.Object(guild_id), opened)
        _translate(bot, opened)
        keeper = ApplicationCog(bot, CommandSync(bot, application.state, guild_id), voice)
        await bot.add_cog(keeper)
        keeper.keep(opened.pop_all())


async def _add(bot: commands.Bot, cogs: Sequence[commands.Cog], guild: discord.Object, opened: AsyncExitStack) -> None:
    """Add the cogs and their commands; `opened` removes what is still there of them."""
    ours = CommandSet(bot.tree, guild)
    for cog in cogs:
        ours.take(cog)
    for cog in cogs:
        await bot.add_cog(cog)
        opened.push_async_callback(_remove, bot, cog)
    ours.add()
    opened.callback(ours.remove)


async def _remove(bot: commands.Bot, cog: commands.Cog) -> None:
    """Remove a cog that discord.py has not removed yet."""
    if bot.get_cog(cog.qualified_name) is cog:
        await bot.remove_cog(cog.qualified_name)


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

    await opened.enter_async_context(standing_by(application, voice, readiness))
    return application, voice


def _translate(bot: commands.Bot, opened: AsyncExitStack) -> None:
    """Put our translator before the bot's own, which learns nothing of it; `opened` puts that one back.

    `set_translator` would unload the bot's own one in between, and load it a second time.
    """
    connection = bot._connection
    own = bot.tree.translator
    ours = CommandTranslator(own)
    connection._translator = ours

    def restore() -> None:
        if bot.tree.translator is ours:
            connection._translator = own

    opened.callback(restore)


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
