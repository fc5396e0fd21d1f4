"""Integrate with Discord: `await bot.load_extension("roas")` lets any discord.py bot deploy, watch and roll back.

An application is opened from the settings; the bot is on standby while another one of the same STATE_DIR leads, and
unloading the extension ends both. docs/plugin.md says what that means for the bot. `roas` does not load itself
as an extension: discord.py would drop the modules that it runs on.
"""

import asyncio
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from contextvars import ContextVar
from types import TracebackType

import aiohttp
import discord
from discord import app_commands
from discord.ext import commands

from roas.app.application import Application, open_application
from roas.cogs.application_cog import ApplicationCog
from roas.cogs.command_sync import CommandSync
from roas.cogs.loading import load_cogs, refuse_ours
from roas.cogs.stopped_bot import StoppedBot, stay_without_journal
from roas.configuration.loading import load_settings
from roas.configuration.settings import Settings
from roas.errors import JournalLostError, RoasError, SettingsError
from roas.leadership.leader_tasks import run_leader_election
from roas.log import get_logger
from roas.models.leader_lease import BotReadiness
from roas.models.post import Post
from roas.state.leadership import Leadership
from roas.ui.gateway import DiscordConnection, StandbyGate
from roas.ui.notifications.notifier import LIVE

log = get_logger(__name__)

WITHIN_SECONDS = 10.0
EXTENSION = "roas"
# What is reloaded now ran by these. Where a reload is refused, discord.py calls the old `setup` again.
SETTINGS_BEFORE: ContextVar[Settings | None] = ContextVar("settings_before", default=None)


class Departure:
    """Decide why the extension is unloaded: its commands are withdrawn only where no bot will answer them any more.

    A bot that is being closed, that reloads the extension, or that has a peer on its journal keeps them at Discord.
    """

    def __init__(
        self, bot: commands.Bot, application: Application, leadership: Leadership, is_closing: Callable[[], bool]
    ) -> None:
        self._bot = bot
        self._application = application
        self._leadership = leadership
        self._is_closing = is_closing
        self._reloading = False
        self._reload = bot.reload_extension
        bot.reload_extension = self._reload_extension  # type: ignore[method-assign]

    def remove(self) -> None:
        """Leave the bot as it was found."""
        if self._bot.reload_extension == self._reload_extension:
            if getattr(self._reload, "__func__", None) is type(self._bot).reload_extension:
                del self._bot.reload_extension  # the class's own shows again
            else:
                self._bot.reload_extension = self._reload  # type: ignore[method-assign]

    async def leave(self, sync: CommandSync) -> None:
        """Withdraw the commands, if this bot leads and no other will answer them. Raises nothing."""
        if not self._is_last():
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(WITHIN_SECONDS):
                with _best_effort("commands could not be removed from Discord"):
                    await sync.withdraw()
                with _best_effort("messages are not known"):
                    for post in await self._live_posts():
                        with _best_effort("buttons could not be removed from a message"):
                            channel = self._bot.get_partial_messageable(post.channel_id)
                            await channel.get_partial_message(post.message_id or 0).edit(view=None)

    async def _live_posts(self) -> list[Post]:
        """Return the messages of what is interrupted now: nobody would answer their *Cancel*."""
        state = self._application.state
        posts = [await state.posts.get(known.id, LIVE) for known in await state.deployments.unfinished()]
        return [post for post in posts if post is not None and post.message_id is not None]

    def _is_last(self) -> bool:
        instance = self._application.state.instance
        peers = [instance_id for instance_id in instance.living("BOT") if instance_id != instance.id]
        leads = self._leadership.is_leader and self._bot.application_id is not None
        return leads and not (self._reloading or peers or self._is_closing() or self._bot.is_closed())

    async def _reload_extension(self, name: str, *, package: str | None = None) -> None:
        """Reload; for that long, what is unloaded comes back at once.

        Settings that are wrong are found before anything is unloaded. What else refuses a reload (a folder, a name of
        the host's) leaves the extension with the settings that it had.
        """
        if importlib.util.resolve_name(name, package).partition(".")[0] == EXTENSION:
            try:
                load_settings(needs_discord=False, is_guest=True)
            except SettingsError as error:
                raise commands.ExtensionFailed(name, error) from error
        self._reloading = True
        before = SETTINGS_BEFORE.set(self._application.settings)
        try:
            await self._reload(name, package=package)
        finally:
            SETTINGS_BEFORE.reset(before)
            self._reloading = False


@contextmanager
def _best_effort(event: str) -> Iterator[None]:
    """Go on where Discord, or the journal, does not do what is asked."""
    try:
        yield
    except (app_commands.CommandSyncFailure, discord.HTTPException, OSError, aiohttp.ClientError, RoasError) as error:
        log.warning(event, error=str(error) or repr(error))


async def setup(bot: commands.Bot) -> None:
    """Set up in a bot, or leave it unchanged. Raises SettingsError, NameClashError, StateError.

    Where the journal is damaged or missing, whoever asks is told so, and the bot around goes on.
    """
    async with AsyncExitStack() as opened:
        opened.push(_show_hint)
        if (before := SETTINGS_BEFORE.get()) is None:
            settings = load_settings(needs_discord=False, is_guest=True)
            refuse_ours(bot, settings)  # before anything is opened
        else:
            settings = before
        try:
            application = await opened.enter_async_context(open_application(settings))
        except JournalLostError as fault:
            await stay_without_journal(bot, settings, fault)
            return
        if bot.http.token:
            application.redactor.add((bot.http.token,))
        leadership = application.leadership
        gate = StandbyGate(bot, leadership)
        opened.callback(gate.remove)
        connection = DiscordConnection()

        def readiness() -> BotReadiness:
            loaded = bot.get_cog(ApplicationCog.__cog_name__) is not None
            return BotReadiness(gateway_ready=connection.is_alive(bot), cogs_loaded=loaded)

        stopped = StoppedBot(bot, settings, gate)
        opened.push_async_callback(stopped.close)
        await opened.enter_async_context(run_leader_election(application, readiness, stopped.stop))
        departure = Departure(bot, application, leadership, lambda: gate.leaving)
        opened.callback(departure.remove)
        application_cog = await load_cogs(bot, application, leadership)
        opened.push_async_callback(departure.leave, application_cog.sync)
        application_cog.keep(opened.pop_all())


def _show_hint(_kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None) -> None:
    """Have a traceback say what to do, too: most hosts let one end them."""
    if isinstance(error, RoasError):
        for line in error.hint.splitlines():
            error.add_note(f"→ {line}")
