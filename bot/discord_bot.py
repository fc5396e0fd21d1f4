"""Run as a Discord bot: connect, stay connected, and shut down in order."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp
import discord
import yarl
from discord.ext import commands
from discord.gateway import DiscordWebSocket
from discord.http import Route

from roas.app.application import Application
from roas.checks.discord_facts import named_roles
from roas.cogs.loading import load_cogs
from roas.concurrency import end_tasks, pause
from roas.configuration.settings import Settings
from roas.limits import PATIENTLY, Backoff
from roas.log import get_logger
from roas.models.leader_lease import BotReadiness
from roas.state.leadership import Leadership
from roas.ui.gateway import DiscordConnection

log = get_logger(__name__)
EXIT_OK = 0
EXIT_BROKEN = 1
EXIT_RESTART = 75
EXIT_CONFIGURATION = 78
API_VERSION = "v10"
AUTHENTICATION_FAILED = 4004
# How long to wait for more guilds before READY; one guild is all there is.
GUILD_READY_SECONDS = 0.2
CLOSE_SECONDS = 5.0


def log_missing(guild: discord.Guild, settings: Settings) -> None:
    """Look for the channels and the roles of the settings; what is known of the server is all that is asked."""
    channels = {settings.channel_of(name) for name in ("", *settings.environment_names)}
    for channel_id, setting in sorted(channels, key=lambda channel: channel[1]):
        if channel_id is not None and guild.get_channel_or_thread(channel_id) is None:
            log.error(
                "the bot does not see a channel of the settings",
                channel_id=channel_id,
                setting=setting,
                hint="Give the bot View Channel there, or correct the id.",
            )
    for setting, role_id in named_roles(settings):
        if guild.get_role(role_id) is None:
            log.error(
                "the server has no such role",
                role_id=role_id,
                setting=setting,
                hint="Copy the id of the role again (server settings, Roles), or take it out.",
            )


class TokenRefusedError(Exception):
    """Discord does not accept the token."""


class RoasBot(commands.Bot):
    """Hold the connection; everything that it does is in the cogs."""

    def __init__(self, settings: Settings, application: Application | None = None) -> None:
        # This bot never joins voice channels, so nobody needs a warning that it cannot.
        discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False
        self._connection_state = DiscordConnection()
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            intents=discord.Intents(guilds=True),
            allowed_mentions=discord.AllowedMentions.none(),
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            max_messages=None,
            guild_ready_timeout=GUILD_READY_SECONDS,
            http_trace=self._connection_state.rest_trace(),
        )
        self._settings = settings
        self.roas = application
        self.roas_leadership = Leadership(is_leader=False) if application is None else application.leadership

    async def load_cogs(self) -> None:
        """Load the cogs, once; none where there is no journal to open an application on.

        It needs no Discord: a bot that starts while Discord is down can take over too.

        Not as an extension: unloading one, or a failed load, drops the modules that this bot runs on.
        """
        if self.roas is not None and not self.cogs:
            await load_cogs(self, self.roas, self.roas_leadership)

    async def setup_hook(self) -> None:
        """Notify the cogs that Discord answers; must not wait for READY, which comes after it."""
        await self.load_cogs()
        self.dispatch("logged_in")

    def readiness(self) -> BotReadiness:
        """Return whether this bot could lead if it had to."""
        return BotReadiness(gateway_ready=self._connection_state.is_alive(self), cogs_loaded=bool(self.cogs))

    async def on_ready(self) -> None:
        """Log that Discord is connected, and what of the settings is not to be seen there."""
        log.info("connected to Discord", user=str(self.user), guilds=len(self.guilds))
        guild_id = self._settings.discord_guild_id
        if guild_id is not None and (guild := self.get_guild(guild_id)) is not None:
            log_missing(guild, self._settings)
        elif guild_id is not None:
            log.error(
                "the bot is not in the server of DISCORD_GUILD_ID",
                guild_id=guild_id,
                hint="Invite it with the scopes `bot` and `applications.commands`, or correct the id.",
            )


async def run_bot(
    bot: RoasBot, settings: Settings, stop: asyncio.Event, *, until: Callable[[], Coroutine[Any, Any, int]]
) -> int:
    """Run the bot until it is asked to stop or meets an error that no retry fixes; returns the exit code.

    `until` ends when the bot must begin again, and returns its exit code.
    """
    redirect(settings)
    token = settings.discord_token.get_secret_value() if settings.discord_token is not None else ""
    connection = asyncio.create_task(_stay_connected(bot, token), name="Discord")
    stopped = asyncio.create_task(stop.wait(), name="stop")
    again = asyncio.create_task(until(), name="until it begins again")
    try:
        await asyncio.wait({connection, stopped, again}, return_when=asyncio.FIRST_COMPLETED)
        if again.done() and not stopped.done():
            return again.result()
        return _exit_code(connection) if connection.done() else EXIT_OK
    finally:
        log.info("shutting down")
        await _shut_down(bot)
        await end_tasks(connection, stopped, again)


async def _shut_down(bot: RoasBot) -> None:
    """Close the connection to Discord, within the time that Docker gives a container to stop."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await bot.close()
    except TimeoutError:
        log.warning("the Discord connection did not close in time")


def _exit_code(connection: "asyncio.Task[None]") -> int:
    error = connection.exception()
    if error is None:
        return EXIT_OK
    if isinstance(error, TokenRefusedError):
        log.error(
            "Discord refuses the token",
            hint="Copy it again from the developer portal (Bot > Reset Token) into DISCORD_TOKEN, "
            "or into the file that DISCORD_TOKEN_FILE names.",
        )
        return EXIT_CONFIGURATION
    log.error("the connection to Discord failed permanently", exc_info=error)
    return EXIT_BROKEN


async def _stay_connected(bot: RoasBot, token: str) -> None:
    """Log in, however long Discord is unavailable, then keep the gateway open. Raises TokenRefusedError."""
    await bot.load_cogs()
    try:
        await _log_in(bot, token)
        await _keep_gateway_open(bot)
    except discord.LoginFailure as error:
        raise TokenRefusedError from error
    except discord.ConnectionClosed as error:
        if error.code == AUTHENTICATION_FAILED:
            raise TokenRefusedError from error
        raise


async def _keep_gateway_open(bot: RoasBot) -> None:
    """Stay on the gateway, however long the first connection takes.

    discord.py reconnects by itself, but where the very first connection fails it trips over the session that it would
    resume: there is none yet.
    """
    backoff = Backoff(PATIENTLY, spread=True)
    while True:
        try:
            await bot.connect(reconnect=True)
        except AttributeError:
            if bot.ws is not None:
                raise
        else:
            return
        delay = backoff.failed()
        log.warning("gateway unreachable; retrying", seconds=round(delay, 1))
        await pause(delay)


async def _log_in(bot: RoasBot, token: str) -> None:
    """Log in; discord.py retries the gateway by itself, but not this first request."""
    backoff = Backoff(PATIENTLY, spread=True)
    while True:
        try:
            await bot.login(token)
        except discord.LoginFailure:
            raise
        except (discord.HTTPException, OSError, aiohttp.ClientError) as error:
            if isinstance(error, discord.HTTPException) and error.status < 500 and error.status != 429:
                raise
            delay = backoff.failed()
            log.warning("Discord is unavailable; retrying", seconds=round(delay, 1), error=str(error) or repr(error))
        else:
            return
        await _reset_connection(bot)
        await pause(delay)


async def _reset_connection(bot: RoasBot) -> None:
    """Close the HTTP session of the failed login; the next login opens one of its own."""
    await bot.http.close()
    bot.http.clear()
    bot.http.connector = discord.utils.MISSING


def redirect(settings: Settings) -> None:
    """Send the client to another API and gateway (a proxy, the sandbox) where the settings name them."""
    if settings.discord_api_url:
        url = settings.discord_api_url.rstrip("/")
        Route.BASE = url if url.rsplit("/", 1)[-1].startswith("v") else f"{url}/{API_VERSION}"
    if settings.discord_gateway_url:
        DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(settings.discord_gateway_url)
