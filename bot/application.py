"""Build every part of the application once, connect them, and close them in reverse order."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

from roas.deployment.context import Components
from roas.deployment.orchestrator import DeploymentOrchestrator
from roas.deployment.peers import Peers
from roas.engine.compose_engine import ComposeEngine
from roas.engine.manager import DeploymentManager
from roas.engine.secret_sources import of_variables, stack_secrets
from roas.errors import RoasError
from roas.events import EventBus
from roas.integration import IntegrationCoordinator
from roas.maintenance import Maintenance
from roas.models.environment import Environment
from roas.models.events import DeploymentEnded
from roas.models.facts import OwnContainer
from roas.monitoring.alert_service import AlertService
from roas.monitoring.collector import MonitoringCollector, StackSources
from roas.monitoring.drift import DriftAlerts, DriftFinder
from roas.monitoring.health import HealthCoordinator
from roas.monitoring.integration_figures import IntegrationMeasurements
from roas.monitoring.integration_monitor import IntegrationMonitor
from roas.monitoring.lost_releases import LostReleases
from roas.monitoring.metrics import Metrics
from roas.monitoring.probe_loop import all_probes_answer
from roas.monitoring.probes import NetworkProber
from roas.monitoring.prometheus_watch import PrometheusWatch
from roas.monitoring.service_alerts import ServiceAlerts
from roas.monitoring.shared_state_folder import SharedStateFolder
from roas.monitoring.swapped_binds import SwappedBinds
from roas.monitoring.token_twin import TokenTwin
from roas.recovery.attempts import RecoveryAttempts
from roas.recovery.coordinator import ErrorCoordinator
from roas.recovery.handler import ErrorHandler, RecoveryChecks, RecoveryParts
from roas.redaction import Redactor, hide_everywhere
from roas.settings import Settings, environments
from roas.state.history import HistoryBounds
from roas.state.manager import StateManager
from roas.state.ownership import HeldLease
from roas.state.redis_server import ping
from roas.state.sync import DataSyncManager
from roas.validation.discord_facts import fetch_discord_facts
from roas.validation.discovery import discover_checks
from roas.validation.survey import EnvironmentSurvey
from roas.validation.validator import EnvironmentValidator
from roas.version import __version__

BOT = "BOT"
# Twenty deployments make a figure; cancelled ones are not counted.
DEPLOYMENTS_READ = 60


@dataclass(frozen=True, slots=True)
class Application:
    """Hold the parts, built once and shared by all that need them."""

    settings: Settings
    environments: Mapping[str, Environment]
    redactor: Redactor
    bus: EventBus
    state: StateManager
    engine: ComposeEngine
    deployment_manager: DeploymentManager
    validator: EnvironmentValidator
    orchestrator: DeploymentOrchestrator
    collector: MonitoringCollector
    health: HealthCoordinator
    metrics: Metrics
    held_lease: HeldLease
    peers: Peers
    alert_service: AlertService
    maintenance: Maintenance
    token_twin: TokenTwin
    integration_monitor: IntegrationMonitor
    sync: DataSyncManager | None = None

    async def own_container(self, environment: Environment) -> OwnContainer | None:
        """Return the container of an environment that this process runs in, or None."""
        return await _own_container(self.engine, environment)

    def watch_itself(self) -> None:
        """Project the journal to Redis, and raise alerts where the parts work together badly."""
        if self.sync is not None:
            self.sync.start()
        self.integration_monitor.start()

    async def stop_watching_itself(self) -> None:
        """Stop raising alerts; measuring continues."""
        await self.integration_monitor.stop()
        if self.sync is not None:
            await self.sync.close()


@asynccontextmanager
async def open_application(
    settings: Settings, *, instance_prefix: str = BOT, redactor: Redactor | None = None
) -> AsyncIterator[Application]:
    """Open the journal, build every part, and close them in reverse order. Raises StateError.

    Nothing is resumed by itself: call `orchestrator.resume()` for what a dead process left.
    """
    async with AsyncExitStack() as stack:
        redactor = redactor or Redactor()
        _seed(redactor, settings)
        stack.callback(hide_everywhere(redactor))
        opened = StateManager(settings.state_dir, instance_prefix=instance_prefix, redact=redactor.redact)
        state = await stack.enter_async_context(opened)
        if instance_prefix == BOT:  # a command that is typed need not wait for this
            await state.check_whole()
        bus = EventBus()
        stack.push_async_callback(bus.close)
        engine = ComposeEngine(
            state_dir=state.folder,
            instance_id=state.instance_id,
            policy_allow=settings.compose_policy_allow,
            redactor=redactor,
            token=settings.discord_token.get_secret_value() if settings.discord_token else "",
        )
        stack.push_async_callback(engine.close)
        application = _build(settings, redactor, state, bus, engine)
        await _learn_stacks(application)
        await _start(application, stack)
        yield application


def _seed(redactor: Redactor, settings: Settings) -> None:
    """Let the redactor know what the settings hold: their own secrets, and the stacks' variables."""
    known = environments(settings)
    redactor.keep(name for one in known.values() for name in (one.name, one.project))
    redactor.add(settings.secrets)
    for one in known.values():
        redactor.add(of_variables(one.variables))


async def _learn_stacks(application: Application) -> None:
    """Let the redactor know the secrets of every environment: those of one can turn up in a report of another."""
    for environment in application.environments.values():
        application.redactor.add(await asyncio.to_thread(_secrets_of, environment))
    for model_hash in await application.state.releases.applied_models():
        with suppress(RoasError):  # whoever needs it says so
            await application.engine.load_model(model_hash)


def _secrets_of(environment: Environment) -> tuple[str, ...]:
    return tuple(stack_secrets(environment))


def _build(
    settings: Settings, redactor: Redactor, state: StateManager, bus: EventBus, engine: ComposeEngine
) -> Application:
    known = environments(settings)
    metrics = Metrics(__version__)
    prober, attempts = NetworkProber(engine.probe_targets), RecoveryAttempts()
    health = HealthCoordinator(bus, state)
    drift = DriftFinder(engine, state.releases, state.locks)
    lost = LostReleases(engine, state.releases)
    sources = StackSources(engine, engine.statistics, state.releases, prober, drift, lost)
    collector = MonitoringCollector(
        sources, bus, health, known, metrics=metrics, prometheus_url=settings.prometheus_url
    )
    validator = EnvironmentValidator(discover_checks(), _survey(settings, engine))
    manager = DeploymentManager(engine, state)
    held_lease = HeldLease()
    alert_service = AlertService(state.alerts, bus, redactor.redact)
    sync = _projection(settings, state, redactor)
    peers = Peers(engine, state, partial(_own_container, engine))
    components = Components(
        settings=settings,
        state=state,
        bus=bus,
        engine=engine,
        manager=manager,
        validator=validator,
        monitoring=collector,
        prober=prober,
        own_container=partial(_own_container, engine),
        held_lease=held_lease,
        peers=peers,
        stop_recovery=attempts.cancel,
    )
    orchestrator = DeploymentOrchestrator(components, known)
    measurements = IntegrationMeasurements(bus, sync)
    alerts = ServiceAlerts(alert_service, state)
    look = partial(all_probes_answer, prober)
    checks = RecoveryChecks(health.verdict, alerts.is_manual_stop, partial(_is_own, engine), look, alerts.expect_end)
    parts = RecoveryParts(engine, manager, state, alert_service, checks, orchestrator.run)
    handler = ErrorHandler(parts, attempts=attempts)
    recovery = ErrorCoordinator(handler, state, alert_service, bus, known)
    drift_alerts = DriftAlerts(drift, alert_service, known)
    prometheus = PrometheusWatch(settings.prometheus_url, alert_service)
    catch_up = partial(_catch_up, state, metrics, measurements)
    token_twin = TokenTwin(alert_service, partial(_token_holders, settings, engine, known))
    swapped = SwappedBinds(engine, state, alert_service, known)
    bus.subscribe(DeploymentEnded, swapped.look_closely, name="swapped binds")
    looks = (token_twin.look, SharedStateFolder(state, alert_service).look, drift_alerts.look)
    bounds = HistoryBounds(settings.history_days, settings.history_rows)
    return Application(
        settings=settings,
        environments=known,
        redactor=redactor,
        bus=bus,
        state=state,
        engine=engine,
        deployment_manager=manager,
        validator=validator,
        orchestrator=orchestrator,
        collector=collector,
        health=health,
        metrics=metrics,
        held_lease=held_lease,
        peers=peers,
        alert_service=alert_service,
        maintenance=Maintenance(
            collector, alerts, alert_service, recovery, state, prometheus, catch_up, bounds, looks, swapped.look
        ),
        token_twin=token_twin,
        integration_monitor=IntegrationMonitor(bus, measurements),
        sync=sync,
    )


async def _catch_up(state: StateManager, metrics: Metrics, measurements: IntegrationMeasurements) -> None:
    """Read from the journal what other processes did, as far as figures are made of it. Raises StateError."""
    metrics.load_open_alerts(await state.alerts.open())
    measurements.remember(await state.deployments.list(limit=DEPLOYMENTS_READ))


async def _token_holders(
    settings: Settings, engine: ComposeEngine, known: Mapping[str, Environment]
) -> tuple[str, ...]:
    """Describe the containers with this bot's token, but for its own. Raises EngineUnavailableError."""
    if settings.discord_token is None:
        return ()
    found: dict[str, str] = {}
    for environment in known.values():
        probe = engine.probe_for(environment)
        own = await probe.own_container() if probe.in_container() else None
        holders = await probe.holders_of(settings.discord_token.get_secret_value())
        found |= {container_id: text for container_id, text in holders if own is None or container_id != own.id}
    return tuple(found.values())


async def _is_own(engine: ComposeEngine, environment: Environment, service: str) -> bool:
    """Return whether a service is the one that this process runs in."""
    own = await _own_container(engine, environment)
    return own is not None and own.service == service


async def _own_container(engine: ComposeEngine, environment: Environment) -> OwnContainer | None:
    """Return the container of an environment that this process runs in, or None."""
    probe = engine.probe_for(environment)
    if not probe.in_container():
        return None
    own = await probe.own_container()
    return own if own is not None and own.project == environment.project else None


def _projection(settings: Settings, state: StateManager, redactor: Redactor) -> DataSyncManager | None:
    """Return what projects the journal to Redis, if that is configured; the caller starts it."""
    if settings.redis_url is None:
        return None
    name = settings.compose_project_name or "default"
    return DataSyncManager(state, settings.redis_url.get_secret_value(), name, redactor.redact)


def _survey(settings: Settings, engine: ComposeEngine) -> EnvironmentSurvey:
    redis_url = settings.redis_url
    ask_discord = settings.discord_token is not None
    return EnvironmentSurvey(
        settings,
        engine,
        engine.probe_for,
        ping_redis=None if redis_url is None else lambda: ping(redis_url.get_secret_value()),
        discord_facts=(lambda environment: fetch_discord_facts(settings, environment)) if ask_discord else None,
    )


async def _start(application: Application, stack: AsyncExitStack) -> None:
    """Connect the parts to each other; what is started last is stopped first."""
    application.metrics.attach(application.bus)
    application.metrics.load_open_alerts(await application.state.alerts.open())
    application.metrics.read_integration(application.integration_monitor)
    if application.sync is not None:
        application.metrics.read_projection(application.sync)
    application.integration_monitor.listen()
    stack.push_async_callback(application.integration_monitor.close)
    stack.callback(application.state.subscribe(application.metrics.count_change))
    application.collector.start()
    stack.push_async_callback(application.collector.close)
    coordinator = IntegrationCoordinator(
        application.state, application.bus, application.collector, application.alert_service
    )
    coordinator.start(application.environments)
    stack.push_async_callback(coordinator.close)
    stack.push_async_callback(application.orchestrator.close)
    stack.push_async_callback(application.maintenance.stop)
    stack.push_async_callback(application.stop_watching_itself)
