"""Run the bot as a service: the client, its HTTP endpoints, its control socket, and what a dead process left."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import structlog

from bot.client import RoasBot, run_bot
from bot.concurrency import happens
from bot.control.server import ControlServer
from bot.errors import RoasError
from bot.integration import Application, open_application
from bot.log import configure_logging
from bot.monitoring.http import HttpServer
from bot.settings import Settings

log = structlog.get_logger(__name__)

# How often a running bot looks for deployments whose process died (a command line that was killed).
ORPHAN_POLL_SECONDS = 15.0


async def serve(settings: Settings) -> int:
    """Run the bot until it is told to stop; returns the exit code. Raises StateError, SettingsError."""
    async with AsyncExitStack() as stack:
        application = await stack.enter_async_context(open_application(settings))
        configure_logging(settings.log_level, settings.log_format, application.redactor)
        bot = RoasBot(application)
        http = HttpServer(settings.http_host, settings.http_port, application.metrics, _readiness(application, bot))
        await http.start()
        stack.push_async_callback(http.stop)
        await stack.enter_async_context(
            ControlServer(
                state=application.state,
                orchestrator=application.orchestrator,
                environments=application.environments,
                health=application.collector,
            )
        )
        application.metrics.read_gateway_latency(lambda: bot.latency)
        orphans = asyncio.create_task(_take_up_orphans(application), name="orphaned deployments")
        stack.push_async_callback(_end, orphans)
        return await run_bot(bot)


async def _take_up_orphans(application: Application) -> None:
    """Take up what dead processes left: at the start, and slowly ever after."""
    while True:
        try:
            for deployment in await application.orchestrator.resume():
                log.info("took up a deployment", deployment_id=deployment.id)
        except RoasError as error:
            log.error("unfinished deployments could not be taken up", problem=error.message, hint=error.hint)
        await happens(asyncio.Event(), ORPHAN_POLL_SECONDS)


def _readiness(application: Application, bot: RoasBot) -> dict[str, Callable[[], Awaitable[object]]]:
    async def discord_is_ready() -> None:
        if not bot.is_ready():
            raise RoasError("Discord has not said READY.", hint="Look at the log for what keeps it from that.")

    async def engines_answer() -> None:
        for environment in application.environments.values():
            await application.engine.probe_for(environment).version()

    return {"journal": application.state.last_sequence, "discord": discord_is_ready, "engine": engines_answer}


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
