"""Build every part of the application once, connect them, and close them in reverse order."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

from roas.composition import (
    Foundation,
    build_deployment,
    build_maintenance,
    build_monitoring,
    build_projection,
    build_recovery,
    build_token_twin,
    find_own_container,
)
from roas.dataclass import dataclass
from roas.deployment.orchestrator import DeploymentOrchestrator
from roas.deployment.peers import Peers
from roas.engine.manager import DeploymentManager
from roas.engine.model.secret_sources import of_variables, stack_secrets
from roas.engine.stack_engine import StackEngine
from roas.environments import environments
from roas.errors import RoasError
from roas.events import EventBus
from roas.integration import IntegrationCoordinator
from roas.maintenance import Maintenance
from roas.models.environment import Environment
from roas.models.facts import OwnContainer
from roas.monitoring.alerts.alert_service import AlertService
from roas.monitoring.alerts.token_twin import TokenTwin
from roas.monitoring.health.coordinator import HealthCoordinator
from roas.monitoring.metrics.integration_figures import IntegrationMeasurements
from roas.monitoring.metrics.integration_monitor import IntegrationMonitor
from roas.monitoring.watching.collector import MonitoringCollector
from roas.redaction import Redactor, hide_everywhere
from roas.settings import Settings
from roas.state.manager import StateManager
from roas.state.ownership import HeldLease
from roas.temporary import remove_left_folders
from roas.validation.validator import EnvironmentValidator

if TYPE_CHECKING:
    from roas.monitoring.metrics.bot_metrics import Metrics
    from roas.state.redis_parts import RedisParts
    from roas.state.sync import DataSyncManager

BOT = "BOT"


@dataclass(frozen=True, slots=True)
class Application:
    """Hold the parts, built once and shared by all that need them."""

    settings: Settings
    environments: Mapping[str, Environment]
    redactor: Redactor
    bus: EventBus
    state: StateManager
    engine: StackEngine
    deployment_manager: DeploymentManager
    validator: EnvironmentValidator
    orchestrator: DeploymentOrchestrator
    collector: MonitoringCollector
    health: HealthCoordinator
    metrics: "Metrics | None"
    held_lease: HeldLease
    peers: Peers
    alert_service: AlertService
    maintenance: Maintenance
    token_twin: TokenTwin
    integration_monitor: IntegrationMonitor
    sync: "DataSyncManager | None" = None

    async def own_container(self, environment: Environment) -> OwnContainer | None:
        """Return the container of an environment that this process runs in, or None."""
        return await find_own_container(self.engine, environment)

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
    redactor: Redactor | None = None,
    redis: "RedisParts | None" = None,
    metrics: "Metrics | None" = None,
) -> AsyncIterator[Application]:
    """Open the journal, build every part, and close them in reverse order. Raises StateError.

    Where the settings name a Redis, `redis` is what is done with it. `metrics` count for a Prometheus: only the bot by
    itself serves them. Nothing is resumed by itself: call `orchestrator.resume()` for what a dead process left.
    """
    if settings.redis_url is not None and redis is None:
        raise TypeError("these settings name a Redis: give REDIS of roas.state.redis_parts")
    async with AsyncExitStack() as stack:
        redactor = redactor or Redactor()
        _seed(redactor, settings)
        stack.callback(hide_everywhere(redactor))
        opened = StateManager(settings.state_dir, instance_prefix=instance_prefix, redact=redactor.redact)
        state = await stack.enter_async_context(opened)
        if instance_prefix == BOT:  # a command that is typed need not wait for this
            await state.check_whole()
        await asyncio.to_thread(remove_left_folders)
        bus = EventBus()
        stack.push_async_callback(bus.close)
        engine = StackEngine(
            state_dir=state.folder,
            instance_id=state.instance_id,
            policy_allow=settings.compose_policy_allow,
            redactor=redactor,
            token=settings.discord_token.get_secret_value() if settings.discord_token else "",
        )
        stack.push_async_callback(engine.close)
        application = _build(Foundation(settings, environments(settings), redactor, state, bus, engine, redis, metrics))
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


def _build(base: Foundation) -> Application:
    monitoring = build_monitoring(base)
    deployment = build_deployment(base, monitoring)
    recovery = build_recovery(base, monitoring, deployment)
    sync = build_projection(base)
    measurements = IntegrationMeasurements(base.bus, sync)
    token_twin = build_token_twin(base, monitoring.alert_service)
    return Application(
        settings=base.settings,
        environments=base.environments,
        redactor=base.redactor,
        bus=base.bus,
        state=base.state,
        engine=base.engine,
        deployment_manager=deployment.manager,
        validator=deployment.validator,
        orchestrator=deployment.orchestrator,
        collector=monitoring.collector,
        health=monitoring.health,
        metrics=monitoring.metrics,
        held_lease=deployment.held_lease,
        peers=deployment.peers,
        alert_service=monitoring.alert_service,
        maintenance=build_maintenance(
            base, monitoring, recovery, token_twin, measurements, deployment.manager.behind_proxy
        ),
        token_twin=token_twin,
        integration_monitor=IntegrationMonitor(base.bus, measurements),
        sync=sync,
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
    coordinator.start(application.environments)
    stack.push_async_callback(coordinator.close)
    stack.push_async_callback(application.orchestrator.close)
    stack.push_async_callback(application.maintenance.stop)
    stack.push_async_callback(application.stop_watching_itself)


async def _count(application: Application, metrics: "Metrics", stack: AsyncExitStack) -> None:
    """Let what is counted for Prometheus see the other parts."""
    metrics.attach(application.bus)
    metrics.load_open_alerts(await application.state.alerts.open())
    metrics.read_integration(application.integration_monitor)
    if application.sync is not None:
        metrics.read_projection(application.sync)
    stack.callback(application.state.subscribe(metrics.count_change))
