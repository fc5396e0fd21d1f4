"""Run the bot as a service: the client, its HTTP endpoints, and leader election."""

import asyncio
import ctypes
import resource
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from aiohttp import web

from roas.app.application import Application, open_application
from roas.app.foundation import open_foundation
from roas.cogs.stopped_bot import StoppedBot
from roas.concurrency import begun, end_tasks, in_thread, pause
from roas.configuration.settings import Settings
from roas.discord_bot import EXIT_RESTART, RoasBot, run_bot
from roas.errors import JournalLostError, RoasError, StateError
from roas.http.server import HttpServer, JournalStanding
from roas.http.webhook import AlertWebhook
from roas.leadership.leader_tasks import run_leader_election
from roas.log import configure_logging, get_logger
from roas.messages.message import said
from roas.metrics.bot_metrics import Metrics
from roas.models.leader_lease import JournalLoss
from roas.redaction import Redactor
from roas.signals import stop_signals
from roas.stack.containers.own_container import is_socket_stale, own_container_id
from roas.stack.docker.engine import engine_address
from roas.ui.gateway import StandbyGate
from roas.version import __version__

# From glibc's malloc.h.
M_ARENA_MAX = -8
M_MMAP_THRESHOLD = -3
LARGE_BYTES = 1 << 20
TRIM_SECONDS = 60.0
MOST_FILES = 1 << 16
log = get_logger(__name__)
EXIT_BEGIN_AGAIN = -1  # of this process, which goes on: no exit code that anybody sees
LOOK_SECONDS = 1.0
JOURNAL_LOOK_SECONDS = 5.0


def keep_little() -> bool:
    """Have threads started from now on share one arena, and what is large go back when it is freed.

    Returns whether the C library knows that.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(M_ARENA_MAX, 1) and mallopt(M_MMAP_THRESHOLD, LARGE_BYTES))


def allow_open_files() -> None:
    """Raise the limit on open files as far as this process may.

    A host by ssh takes a hundred, and engines of today give a container 1,024 to begin with. Beyond MOST_FILES,
    programs that close all that they may have open take long for that.
    """
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = MOST_FILES if most == resource.RLIM_INFINITY else min(most, MOST_FILES)
    if limit != resource.RLIM_INFINITY and limit < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))


def trim() -> bool:
    """Give free memory back; returns whether the C library can, which musl cannot."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is None:
        return False
    malloc_trim(0)
    return True


@asynccontextmanager
async def kept_trimmed(seconds: float = TRIM_SECONDS) -> AsyncIterator[None]:
    """Trim every so often within the block, in a thread."""

    async def rounds() -> None:
        while await in_thread(trim):
            await pause(seconds)

    task = asyncio.create_task(rounds(), name="trim memory")
    try:
        yield
    finally:
        await end_tasks(task)


async def serve(settings: Settings) -> int:
    """Run the bot until it is asked to stop; returns the exit code. Raises StateError, SettingsError.

    A bot whose journal is lost, damaged or missing stays, and says so, until a person has brought it back.
    """
    async with AsyncExitStack() as stack:
        stop = stack.enter_context(stop_signals())
        keep_little()
        allow_open_files()
        await stack.enter_async_context(kept_trimmed())
        code = EXIT_BEGIN_AGAIN
        while code == EXIT_BEGIN_AGAIN:
            try:
                code = await _serve(settings, stop)
            except JournalLostError as error:
                code = await _serve_without_journal(settings, stop, error)
        return code


async def _serve(settings: Settings, stop: asyncio.Event) -> int:
    """Run the bot on its journal. Raises JournalLostError where that is damaged or missing from the start."""
    async with AsyncExitStack() as stack:
        metrics = Metrics(__version__)
        application = await stack.enter_async_context(open_application(settings, metrics=metrics))
        configure_logging(settings.log_level, settings.log_format, application.redactor)
        bot = RoasBot(settings, application)
        http = HttpServer(
            settings.http_host,
            settings.http_port,
            metrics,
            _readiness(application, bot),
            take_alerts=_webhook(application),
            journal=lambda: _journal_standing(application),
            leads=lambda: bot.roas_leadership.is_leader,
        )
        await http.start()
        stack.push_async_callback(http.stop)
        metrics.read_gateway_latency(lambda: bot.latency)
        stopped = StoppedBot(bot, settings, StandbyGate(bot, bot.roas_leadership))
        stack.push_async_callback(stopped.close)
        await stack.enter_async_context(run_leader_election(application, bot.readiness, stopped.stop))
        return await run_bot(bot, settings, stop, until=lambda: _until_to_begin_again(application))


async def _until_to_begin_again(application: Application) -> int:
    """Wait until the socket of an engine is stale, or until a lost journal was brought back; returns the exit code."""
    addresses = {engine_address(environment) for environment in application.engines.values()}
    while True:
        if any(map(is_socket_stale, addresses)):
            log.error(
                "the engine socket in this container is stale; restarting",
                hint="The engine was started again. `restart: unless-stopped` brings this bot back.",
            )
            return EXIT_RESTART
        if application.state.lost is not None and await application.state.is_chosen_again():
            log.info("a person brought the journal back; beginning again")
            return EXIT_BEGIN_AGAIN
        await pause(LOOK_SECONDS)


async def _serve_without_journal(settings: Settings, stop: asyncio.Event, fault: JournalLostError) -> int:
    """Say why this bot does not act, to all who ask, until there is a journal to act by."""
    redactor = Redactor()
    redactor.add(settings.secrets)
    configure_logging(settings.log_level, settings.log_format, redactor)
    log.error("this bot does not act", error=fault.message, hint=fault.hint)
    async with AsyncExitStack() as stack:
        bot = RoasBot(settings)
        standing = JournalStanding("", fault.message)
        http = HttpServer(settings.http_host, settings.http_port, Metrics(__version__), journal=lambda: standing)
        await http.start()
        stack.push_async_callback(http.stop)
        stopped = StoppedBot(bot, settings, StandbyGate(bot, bot.roas_leadership))
        stack.push_async_callback(stopped.close)
        loss = JournalLoss(fault.message, fault.hint, (own_container_id() or "")[:12])
        await stack.enter_async_context(begun(stopped.stop(loss)))
        return await run_bot(bot, settings, stop, until=lambda: _until_journal_is_usable(settings))


async def _until_journal_is_usable(settings: Settings) -> int:
    """Wait until the journal is whole, and the one that the stack was deployed by, or that a person chose."""
    while True:
        await pause(JOURNAL_LOOK_SECONDS)
        with suppress(StateError):
            async with open_foundation(settings, instance_prefix="LOOK") as base:
                await base.state.check_whole()
            return EXIT_BEGIN_AGAIN


def _journal_standing(application: Application) -> JournalStanding:
    state = application.state
    return JournalStanding(
        state.journal_id, "" if state.lost is None else state.lost.message, state.conflict, state.unreadable
    )


def _webhook(application: Application) -> Callable[[web.Request], Awaitable[web.Response]] | None:
    """Return what takes alerts from outside; without WEBHOOK_TOKEN there is no such thing."""
    token = application.settings.webhook_token
    if token is None or not token.get_secret_value():
        return None

    async def services() -> dict[str, list[str]]:
        """Name the services of every environment that is on a release."""
        releases = [await application.state.releases.current(name) for name in application.engines]
        return {
            release.environment: [service.name for service in release.services]
            for release in releases
            if release is not None
        }

    maintenance = application.maintenance
    return AlertWebhook(
        token.get_secret_value(), application.alert_service, services, lambda: maintenance.is_running
    ).answer


def _readiness(application: Application, bot: RoasBot) -> dict[str, Callable[[], Awaitable[object]]]:
    async def discord_is_ready() -> None:
        if not bot.is_ready():
            raise RoasError(
                said("Discord has not said READY."), hint=said("Look at the log for what keeps it from that.")
            )

    async def engines_answer() -> None:
        for environment in application.engines.values():
            await application.stacks.of(environment).probe().version()

    return {"journal": application.state.check_usable, "discord": discord_is_ready, "engine": engines_answer}
