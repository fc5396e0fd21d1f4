"""Run the bot as a service: the client, its HTTP endpoints, its control socket, and what a dead process left."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import structlog
from aiohttp import web

from bot.client import RoasBot, run_bot
from bot.concurrency import happens
from bot.control.faults import ControlSocketHeldError
from bot.control.server import ControlServer
from bot.errors import RoasError
from bot.integration import Application, open_application
from bot.log import configure_logging
from bot.monitoring.http import HttpServer
from bot.monitoring.webhook import AlertWebhook
from bot.settings import Settings
from bot.standby import VoiceKeeper
from bot.ui.standby_gate import StandbyGate

log = structlog.get_logger(__name__)

# How often a running bot looks for deployments whose process died (a command line that was killed).
ORPHAN_POLL_SECONDS = 5.0
SOCKET_RETRY_SECONDS = 1.0


async def serve(settings: Settings) -> int:
    """Run the bot until it is told to stop; returns the exit code. Raises StateError, SettingsError."""
    async with AsyncExitStack() as stack:
        application = await stack.enter_async_context(open_application(settings))
        configure_logging(settings.log_level, settings.log_format, application.redactor)
        bot = RoasBot(application)
        http = HttpServer(
            settings.http_host,
            settings.http_port,
            application.metrics,
            _readiness(application, bot),
            take_alerts=_webhook(application),
        )
        await http.start()
        stack.push_async_callback(http.stop)
        application.metrics.read_gateway_latency(lambda: bot.latency)
        duties = ActiveDuties(application, bot)
        stack.push_async_callback(duties.end)
        keeper = VoiceKeeper(application, bot.readiness, duties.begin, duties.end)
        keeping = asyncio.create_task(keeper.run(), name="voice keeper")
        stack.push_async_callback(_end, keeping)
        return await run_bot(bot)


class ActiveDuties:
    """Do what only the active bot does: speak, answer the command line, take up what dead processes left."""

    def __init__(self, application: Application, bot: RoasBot) -> None:
        self._application = application
        self._bot = bot
        bot.roas_voice.take()  # until the voice keeper has it
        self._gate = StandbyGate(bot, bot.roas_voice)
        self._opened = AsyncExitStack()

    async def begin(self) -> None:
        """Begin to speak and act."""
        for duty in (_take_up_orphans(self._application), _answer_command_line(self._application)):
            self._opened.push_async_callback(_end, asyncio.create_task(duty))
        await self._application.guard.begin()
        self._opened.push_async_callback(self._application.guard.end)
        self._application.watch_itself()
        self._opened.push_async_callback(self._application.stop_watching_itself)
        self._bot.roas_voice.give()
        self._gate.release()

    async def end(self) -> None:
        """Fall silent."""
        self._bot.roas_voice.take()
        await self._opened.aclose()


async def _answer_command_line(application: Application) -> None:
    """Listen on the control socket; a predecessor may hold it for a moment longer."""
    told = False
    while True:
        control = ControlServer(
            state=application.state,
            orchestrator=application.orchestrator,
            environments=application.environments,
            health=application.collector,
            engine=application.engine,
        )
        try:
            async with control:
                await asyncio.get_running_loop().create_future()
        except ControlSocketHeldError as error:
            if not told:
                log.warning("the command line cannot reach this bot yet", problem=error.message, hint=error.hint)
            told = True
        except RoasError as error:
            log.error("the command line cannot reach this bot", problem=error.message, hint=error.hint)
            return
        await happens(asyncio.Event(), SOCKET_RETRY_SECONDS)


async def _take_up_orphans(application: Application) -> None:
    """Take up what dead processes left: at the start, and slowly ever after."""
    swept = False
    while True:
        try:
            for deployment in await application.orchestrator.resume():
                log.info("took up a deployment", deployment_id=deployment.id)
            if not swept:
                await application.orchestrator.sweep()
                swept = True
        except RoasError as error:
            log.error("unfinished deployments could not be taken up", problem=error.message, hint=error.hint)
        await happens(asyncio.Event(), ORPHAN_POLL_SECONDS)


def _webhook(application: Application) -> Callable[[web.Request], Awaitable[web.Response]] | None:
    """Return what takes alerts from outside; without WEBHOOK_TOKEN there is no such thing."""
    token = application.settings.webhook_token
    if token is None or not token.get_secret_value():
        return None

    async def services() -> dict[str, list[str]]:
        """Name the services of every environment that is on a release."""
        releases = [await application.state.releases.current(name) for name in application.environments]
        return {one.environment: [service.name for service in one.services] for one in releases if one is not None}

    guard = application.guard
    return AlertWebhook(token.get_secret_value(), application.desk, services, lambda: guard.on_duty).answer


def _readiness(application: Application, bot: RoasBot) -> dict[str, Callable[[], Awaitable[object]]]:
    async def discord_is_ready() -> None:
        if not bot.is_ready():
            raise RoasError("Discord has not said READY.", hint="Look at the log for what keeps it from that.")

    async def engines_answer() -> None:
        for environment in application.environments.values():
            await application.engine.probe_for(environment).version()

    return {"journal": application.state.check_usable, "discord": discord_is_ready, "engine": engines_answer}


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
