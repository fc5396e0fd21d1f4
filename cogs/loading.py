"""Add the cogs to a bot whose application is open; discord.py's extensions are for the bots of others."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial

import discord
from discord.ext import commands

from roas.app.application import Application
from roas.apprise_target import send
from roas.cogs.alerts import AlertsCog
from roas.cogs.application_cog import ApplicationCog
from roas.cogs.command_sync import CommandSet, CommandSync, refuse_clashes
from roas.cogs.deployment import DeploymentCog
from roas.cogs.freeze import FreezeCog
from roas.cogs.history import HistoryCog
from roas.cogs.logs import LogsCog
from roas.cogs.ops_cog import OpsCog
from roas.cogs.services import ServicesCog
from roas.cogs.status import StatusCog
from roas.configuration.settings import Settings
from roas.errors import SettingsError
from roas.state.leadership import Leadership
from roas.ui.command_names import CommandTranslator
from roas.ui.notifications.live_messages import LiveMessages, PingRoles
from roas.ui.notifications.ops_channel import OpsChannel
from roas.ui.notifications.outbox import Outbox, Outboxes
from roas.ui.notifications.targets import TargetParts, Targets
from roas.ui.translation import read_catalogues

WITH_LIVE_MESSAGES = (DeploymentCog, ServicesCog, StatusCog)
WITHOUT_LIVE_MESSAGES = (HistoryCog, LogsCog, FreezeCog, AlertsCog)


async def load_cogs(bot: commands.Bot, application: Application, leadership: Leadership) -> ApplicationCog:
    """Add every cog, or leave the bot as it was; removing the cog that is returned removes them all.

    Raises SettingsError, NameClashError.
    """
    read_catalogues()
    async with AsyncExitStack() as opened:
        guild_id, _channel_id = place(application.settings)
        messages = LiveMessages(
            application.state,
            application.bus,
            _outboxes(bot, application),
            leadership=leadership,
            ping_roles=_ping_roles(application.settings),
            redact=application.redactor.redact,
        )
        cogs: list[OpsCog] = [kind(bot, application, leadership, messages) for kind in WITH_LIVE_MESSAGES]
        cogs += [kind(bot, application, leadership) for kind in WITHOUT_LIVE_MESSAGES]
        guild = discord.Object(guild_id)
        ours = CommandSet(bot.tree, guild, application.settings.discord_command_group)
        await _add(bot, cogs, ours, opened)
        _translate(bot, opened)
        sync = CommandSync(bot, application.state, guild_id, ours)
        sync.watch_host()
        opened.callback(sync.leave_host)
        targets = _targets(application, leadership)
        targets.start()
        opened.push_async_callback(targets.close)
        application_cog = ApplicationCog(bot, sync, leadership)
        await bot.add_cog(application_cog)
        application_cog.keep(opened.pop_all())
        return application_cog


def _outboxes(bot: commands.Bot, application: Application) -> Outboxes:
    """Create an outbox for the ops channel, and one for each other channel that environments have."""
    settings, group = application.settings, application.settings.discord_command_group
    guild_id, channel_id = place(settings)
    by_channel: dict[int, Outbox] = {}
    for name, own in settings.own_channels.items():
        channel, setting = OpsChannel(bot, guild_id, own, group), settings.channel_of(name)[1]
        by_channel.setdefault(own, Outbox(application.state, channel, setting=setting))
    main = Outbox(application.state, OpsChannel(bot, guild_id, channel_id, group))
    return Outboxes(main, {name: by_channel[own] for name, own in settings.own_channels.items()})


def _targets(application: Application, leadership: Leadership) -> Targets:
    """Create what tells people outside of Discord."""
    redactor = application.redactor
    to_apprise = partial(send, learn=redactor.add)
    parts = TargetParts(application.state, application.alert_service, application.settings, redactor.redact, to_apprise)
    return Targets(parts, application.bus, leadership)


def refuse_ours(bot: commands.Bot, settings: Settings) -> None:
    """Raise NameClashError where the bot has something under one of our names."""
    cog_names = [kind.__cog_name__ for kind in (*WITH_LIVE_MESSAGES, *WITHOUT_LIVE_MESSAGES, ApplicationCog)]
    refuse_clashes(bot, discord.Object(place(settings)[0]), command_names(settings), cog_names)


def command_names(settings: Settings) -> tuple[str, ...]:
    """Return the names of our commands: the group's, or each one's own."""
    if settings.discord_command_group:
        return (settings.discord_command_group,)
    kinds = (*WITH_LIVE_MESSAGES, *WITHOUT_LIVE_MESSAGES)
    return tuple(command.name for kind in kinds for command in kind.__cog_app_commands__)


def place(settings: Settings) -> tuple[int, int]:
    """Return the guild and the ops channel, without which no command works. Raises SettingsError."""
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


async def _add(bot: commands.Bot, cogs: Sequence[commands.Cog], ours: CommandSet, opened: AsyncExitStack) -> None:
    """Add the cogs and their commands; `opened` removes what is still there of them."""
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


def _ping_roles(settings: Settings) -> PingRoles:
    """Return the roles that the bot may ping."""
    approvers = sorted(settings.discord_approver_role_ids) if settings.discord_mention_approvers else ()
    return PingRoles(settings.discord_alert_role_id, tuple(approvers))
