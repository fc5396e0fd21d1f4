"""Build every part of the application once, connect them, and close them in reverse order."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from roas.alerts.alert_service import AlertService
from roas.alerts.bot_alerts import DuplicateToken
from roas.app.composition import (
    build_deployment,
    build_duplicate_token,
    build_maintenance,
    build_monitoring,
    build_projection,
    build_recovery,
    find_own_container,
)
from roas.app.foundation import BOT, Foundation, open_foundation
from roas.app.integration import IntegrationCoordinator
from roas.app.maintenance import Maintenance
from roas.app.offsite_backups import OffsiteBackups
from roas.app.shared_state import SharedState
from roas.candidates.coordinator import CandidateCoordinator
from roas.checks.validator import EnvironmentValidator
from roas.configuration.settings import Settings
from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.deploy.peers import Peers
from roas.deploy.schedule import Schedule
from roas.events import EventBus
from roas.health.collector import MonitoringCollector
from roas.health.coordinator import HealthCoordinator
from roas.metrics.bot_metrics import Metrics
from roas.metrics.integration_monitor import DeploymentFigures, IntegrationMeasurements, IntegrationMonitor
from roas.models.environment import Environment
from roas.models.facts import OwnContainer
from roas.redaction import Redactor
from roas.stack.stacks import Stacks
from roas.stack.updating.deployment_manager import DeploymentManager
from roas.state.leader_lease import HeldLease
from roas.state.manager import StateManager
from roas.state.redis_sync import DataSyncManager


@dataclass(frozen=True, slots=True)
class Application:
    """Hold the parts, built once and shared by all that need them."""

    settings: Settings
    environments: Mapping[str, Environment]
    engines: Mapping[str, Environment]
    redactor: Redactor
    bus: EventBus
    state: StateManager
    stacks: Stacks
    deployment_manager: DeploymentManager
    validator: EnvironmentValidator
    orchestrator: DeploymentOrchestrator
    collector: MonitoringCollector
    health: HealthCoordinator
    metrics: Metrics | None
    held_lease: HeldLease
    peers: Peers
    alert_service: AlertService
    maintenance: Maintenance
    duplicate_token: DuplicateToken
    candidates: CandidateCoordinator
    schedule: Schedule
    offsite: OffsiteBackups
    deployment_figures: DeploymentFigures
    integration_monitor: IntegrationMonitor
    sync: DataSyncManager | None = None
    shared: SharedState | None = None

    async def own_container(self, environment: Environment) -> OwnContainer | None:
        """Return the container of an environment that this process runs in, or None."""
        return await find_own_container(self.stacks, environment)

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
    settings: Settings,
    *,
    instance_prefix: str = BOT,
    metrics: Metrics | None = None,
    read_only: bool = False,
) -> AsyncIterator[Application]:
    """Open the journal, build every part, and close them in reverse order. Raises StateError.

    `metrics` count for a Prometheus: only the bot by itself serves them. Nothing is resumed by itself: call
    `orchestrator.resume()` for what a dead process left. Who `read_only` makes no journal where there is none.
    """
    opened = open_foundation(settings, instance_prefix=instance_prefix, metrics=metrics, read_only=read_only)
    async with opened as base, AsyncExitStack() as stack:
        application = _build(base)
        await _start(application, stack)
        yield application


def _build(base: Foundation) -> Application:
    monitoring = build_monitoring(base)
    deployment = build_deployment(base, monitoring)
    recovery = build_recovery(base, monitoring, deployment)
    sync = build_projection(base)
    figures = DeploymentFigures(base.state, base.environments)
    measurements = IntegrationMeasurements(base.bus, sync, deployments=figures)
    duplicate_token = build_duplicate_token(base, monitoring.alert_service)
    proxies, start = deployment.manager.behind_proxy, deployment.orchestrator.start
    has_approvers = bool(base.settings.discord_approver_role_ids)
    return Application(
        settings=base.settings,
        environments=base.environments,
        engines=base.engines,
        redactor=base.redactor,
        bus=base.bus,
        state=base.state,
        stacks=base.stacks,
        deployment_manager=deployment.manager,
        validator=deployment.validator,
        orchestrator=deployment.orchestrator,
        collector=monitoring.collector,
        health=monitoring.health,
        metrics=monitoring.metrics,
        held_lease=deployment.held_lease,
        peers=deployment.peers,
        alert_service=monitoring.alert_service,
        maintenance=build_maintenance(base, monitoring, recovery, duplicate_token, figures, proxies, start),
        duplicate_token=duplicate_token,
        candidates=CandidateCoordinator(base.state, deployment.orchestrator, base.bus, base.environments),
        schedule=Schedule(
            base.state, deployment.orchestrator, base.bus, base.environments, has_approvers=has_approvers
        ),
        offsite=OffsiteBackups(base.stacks, base.state, monitoring.alert_service, base.engines, base.redactor),
        deployment_figures=figures,
        integration_monitor=IntegrationMonitor(base.bus, measurements),
        sync=sync,
        shared=base.shared,
    )


async def _start(application: Application, stack: AsyncExitStack) -> None:
    """Connect the parts to each other; what is started last is stopped first."""
    if application.metrics is not None:
        await _count(application, application.metrics, stack)
    application.integration_monitor.listen()
    stack.push_async_callback(application.integration_monitor.close)
    application.collector.start()
    stack.push_async_callback(application.collector.close)
    coordinator = IntegrationCoordinator(
        application.state, application.bus, application.collector, application.alert_service
    )
    coordinator.start(application.engines)
    stack.push_async_callback(coordinator.close)
    stack.push_async_callback(application.orchestrator.close)
    stack.push_async_callback(application.candidates.stop)
    stack.push_async_callback(application.schedule.stop)
    stack.push_async_callback(application.offsite.stop)
    stack.push_async_callback(application.maintenance.stop)
    stack.push_async_callback(application.stop_watching_itself)


async def _count(application: Application, metrics: Metrics, stack: AsyncExitStack) -> None:
    """Let what is counted for Prometheus see the other parts."""
    metrics.attach(application.bus)
    metrics.load_open_alerts(await application.state.alerts.open())
    metrics.read_integration(application.integration_monitor)
    metrics.read_deployments(application.deployment_figures)
    if application.sync is not None:
        metrics.read_projection(application.sync)
    if application.shared is not None:
        metrics.read_shared_state(application.shared.log)
    stack.callback(application.state.subscribe(metrics.count_change))
