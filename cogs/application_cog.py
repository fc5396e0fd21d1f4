"""Own what the other cogs share: the application where the bot opened none, its leader tasks, the command sync."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import aiohttp
import discord
from discord import app_commands
from discord.ext import commands

from roas.cogs.command_sync import CogName, CommandSync
from roas.concurrency import end_tasks, wait_for
from roas.errors import RoasError
from roas.limits import PATIENTLY, Backoff
from roas.log import get_logger
from roas.state.leadership import Leadership

log = get_logger(__name__)


class ApplicationCog(commands.Cog, name=CogName.APPLICATION.value):
    """Is loaded last and unloaded last: sync what was loaded, close what was opened."""

    def __init__(self, bot: commands.Bot, sync: CommandSync, leadership: Leadership) -> None:
        self._bot = bot
        self.sync = sync
        self._leadership = leadership
        self._opened: list[AsyncExitStack] = []
        self._online = asyncio.Event()
        self._is_complete = False
        self._loading = asyncio.current_task()  # by it, `setup_hook` may load the extension
        self._task: asyncio.Task[None] | None = None
        self._stop_listening: Callable[[], None] | None = None

    def keep(self, opened: AsyncExitStack) -> None:
        """Close something when this cog is removed; what was kept first is closed first."""
        self._opened.append(opened)

    @property
    def is_leader(self) -> bool:
        """Return whether this bot leads; another one may lead beside it."""
        return self._leadership.is_leader

    async def wait_until_leader(self) -> None:
        """Wait until this bot leads and Discord is connected: only then do timers act.

        Raises RuntimeError where it is awaited by `setup_hook`, which has to end before the bot connects.
        """
        if asyncio.current_task() is self._loading and self._bot.ws is None:
            raise RuntimeError(
                "wait_until_leader() never ends in setup_hook or cog_load, after which the bot connects: "
                "await it in a task of its own, as at the beginning of a loop."
            )
        while not (self.is_leader and self._bot.is_ready()):
            await self._bot.wait_until_ready()
            await self._leadership.wait_until_leader()

    async def cog_load(self) -> None:
        """Sync the commands where the bot is connected already; otherwise that happens once it is ready."""
        self._stop_listening = self._leadership.on_gained(self._begin_again)
        if self._bot.is_ready():
            self._begin()

    async def cog_unload(self) -> None:
        """Close the application, where it is ours."""
        if self._stop_listening is not None:
            self._stop_listening()
        if self._task is not None:
            await end_tasks(self._task)
        async with AsyncExitStack() as closing:
            for opened in reversed(self._opened):
                closing.push_async_exit(opened)

    @commands.Cog.listener()
    async def on_logged_in(self) -> None:
        """Sync beside the connecting, in the standalone bot: nobody else adds commands to it."""
        self._is_complete = True
        self._begin()

    @commands.Cog.listener()
    async def on_connect(self) -> None:
        """Sync what the start has loaded, or what did not work before."""
        self._online.set()
        self._begin()

    @commands.Cog.listener()
    async def on_ready(self) -> None:
        """Sync where the extension was loaded just after the bot had connected."""
        self._begin()

    @commands.Cog.listener()
    async def on_interaction(self, _interaction: discord.Interaction) -> None:
        """Check that our commands are as they were: discord.py sends no event for that."""
        self.sync.report_changes()

    def _begin(self) -> None:
        if self._task is None and self._leadership.is_leader:
            self._task = asyncio.create_task(
                self._leadership.run_while_leader(self._sync_commands), name="sync commands"
            )

    def _begin_again(self) -> None:
        """Sync again on becoming leader: the leader before may have had other commands."""
        if self._task is not None and self._task.done():
            self._task = None
        if self._is_complete or self._bot.is_ready():
            self._begin()

    async def _sync_commands(self) -> None:
        """Try until Discord has the commands; what only a person can fix is logged instead."""
        backoff = Backoff(PATIENTLY, spread=True)
        while True:
            try:
                await self.sync.run()
            except (app_commands.CommandSyncFailure, discord.Forbidden) as error:
                log.error(
                    "the commands cannot be synced",
                    error=str(error),
                    hint="Invite the bot with the scopes `bot` and `applications.commands`.",
                )
                return
            except (discord.HTTPException, OSError, aiohttp.ClientError, RoasError) as error:
                log.warning("the commands are synced later", error=str(error))
            else:
                return
            self._online.clear()
            await wait_for(self._online, backoff.failed())  # being connected again ends the wait
