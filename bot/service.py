"""Run the bot as a service: the client, its HTTP endpoints, and leader election."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from aiohttp import web

from roas.application import Application, open_application
from roas.client import RoasBot, run_bot
from roas.engine.client import engine_address
from roas.engine.machine.socket_mount import is_socket_stale
from roas.errors import RoasError
from roas.leadership.leader_tasks import run_leader_election
from roas.log import configure_logging
from roas.memory import keep_little, kept_trimmed
from roas.messages.message import said
from roas.monitoring.http.server import HttpServer, JournalStanding
from roas.monitoring.http.webhook import AlertWebhook
from roas.monitoring.metrics.bot_metrics import Metrics
from roas.settings import Settings
from roas.signals import stop_signals
from roas.ui.notifications.journal_loss import JournalLossNotifier
from roas.ui.standby_gate import StandbyGate
from roas.version import __version__


async def serve(settings: Settings) -> int:
    """Run the bot until it is asked to stop; returns the exit code. Raises StateError, SettingsError."""
    async with AsyncExitStack() as stack:
        stop = stack.enter_context(stop_signals())
        keep_little()
        await stack.enter_async_context(kept_trimmed())
        metrics = Metrics(__version__)
        application = await stack.enter_async_context(open_application(settings, metrics=metrics))
        configure_logging(settings.log_level, settings.log_format, application.redactor)
        bot = RoasBot(application)
        http = HttpServer(
            settings.http_host,
            settings.http_port,
            metrics,
            _readiness(application, bot),
            take_alerts=_webhook(application),
            journal=lambda: _journal_standing(application),
        )
        await http.start()
        stack.push_async_callback(http.stop)
        metrics.read_gateway_latency(lambda: bot.latency)
        StandbyGate(bot, bot.roas_leadership)
        notify = JournalLossNotifier(bot, settings)
        await stack.enter_async_context(
            run_leader_election(application, bot.roas_leadership, bot.readiness, notify.run)
        )
        addresses = {engine_address(environment) for environment in application.environments.values()}
        return await run_bot(bot, stop, lambda: any(map(is_socket_stale, addresses)))


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
        releases = [await application.state.releases.current(name) for name in application.environments]
        return {one.environment: [service.name for service in one.services] for one in releases if one is not None}

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
        for environment in application.environments.values():
            await application.engine.probe_for(environment).version()

    return {"journal": application.state.check_usable, "discord": discord_is_ready, "engine": engines_answer}
