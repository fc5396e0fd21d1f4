"""Unregister our commands from Discord when the extension is unloaded from a bot that runs on without it."""

import asyncio
import importlib.util
from collections.abc import Callable

import aiohttp
import discord
from discord import app_commands
from discord.ext import commands

from roas.application import Application
from roas.cogs.command_sync import CommandSync
from roas.errors import RoasError, SettingsError
from roas.leadership.leadership import Leadership
from roas.log import get_logger
from roas.settings import load_settings
from roas.ui.notifications.notifier import LIVE

log = get_logger(__name__)

WITHIN_SECONDS = 10.0
EXTENSION = "roas"


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
        try:
            async with asyncio.timeout(WITHIN_SECONDS):
                await self._remove_buttons()
                await sync.withdraw()
        except (
            app_commands.CommandSyncFailure,
            discord.HTTPException,
            OSError,
            TimeoutError,
            aiohttp.ClientError,
            RoasError,
        ) as error:
            log.warning("commands could not be removed from Discord", error=str(error) or repr(error))

    async def _remove_buttons(self) -> None:
        """Take *Cancel* off the messages of what is interrupted now: nobody would answer it."""
        state = self._application.state
        for deployment in await state.deployments.unfinished():
            if (post := await state.posts.get(deployment.id, LIVE)) is not None and post.message_id is not None:
                channel = self._bot.get_partial_messageable(post.channel_id)
                await channel.get_partial_message(post.message_id).edit(view=None)

    def _is_last(self) -> bool:
        instance = self._application.state.instance
        peers = [one for one in instance.living("BOT") if one != instance.id]
        leads = self._leadership.is_leader and self._bot.application_id is not None
        return leads and not (self._reloading or peers or self._is_closing() or self._bot.is_closed())

    async def _reload_extension(self, name: str, *, package: str | None = None) -> None:
        """Reload; for that long, what is unloaded comes back at once.

        Settings that are wrong are found before anything is unloaded: discord.py would bring nothing back.
        """
        if importlib.util.resolve_name(name, package).partition(".")[0] == EXTENSION:
            try:
                load_settings(needs_discord=False, is_guest=True)
            except SettingsError as error:
                raise commands.ExtensionFailed(name, error) from error
        self._reloading = True
        try:
            await self._reload(name, package=package)
        finally:
            self._reloading = False
