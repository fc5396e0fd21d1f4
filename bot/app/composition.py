"""Build the parts of the application, room by room: what monitors, what deploys, what recovers, what maintains."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

from roas.alerts.alert_service import AlertService
from roas.alerts.bot_alerts import (
    DuplicateToken,
    FreezeReminder,
    JournalBackup,
    OwnAlerts,
    PrometheusWatch,
    SharedStateFolder,
)
from roas.alerts.drift_alerts import DriftAlerts
from roas.alerts.node_alerts import NodeAlerts
from roas.alerts.service_alerts import ServiceAlerts
from roas.app.backup_schedule import BackupSchedule
from roas.app.foundation import Foundation
from roas.app.maintenance import Maintenance, MaintenanceParts
from roas.app.writers_left_stopped import WritersLeftStopped
from roas.apprise_target import unusable_targets
from roas.checks.discord_facts import fetch_discord_facts
from roas.checks.subject import EnvironmentSurvey
from roas.checks.validator import CHECKS, EnvironmentValidator
from roas.concurrency import run_concurrently
from roas.configuration.settings import Settings
from roas.deploy.components import Components
from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.deploy.peers import Peers
from roas.errors import RoasError
from roas.health.collector import MonitoringCollector, StackSources
from roas.health.coordinator import HealthCoordinator
from roas.health.drift_finder import DriftFinder
from roas.health.probes import NetworkProber, all_probes_answer
from roas.health.wanted_services import LostReleases
from roas.log import get_logger
from roas.messages.message import said
from roas.metrics.bot_metrics import Metrics
from roas.metrics.integration_monitor import DeploymentFigures
from roas.metrics.prometheus import read_figure
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest
from roas.models.environment import Environment
from roas.models.facts import OwnContainer
from roas.recovery.attempts import RecoveryAttempts
from roas.recovery.coordinator import ErrorCoordinator
from roas.recovery.handler import RECOVERY_ACTOR, ErrorHandler, RecoveryParts
from roas.recovery.refusals import RecoveryChecks
from roas.recovery.swarm_recovery import RecoveryByEngine, SwarmRecovery
from roas.recovery.upkeep import LeftDrains, RenewedLogins
from roas.stack.stacks import Stacks
from roas.stack.updating.behind_proxy import BehindProxy
from roas.stack.updating.deployment_manager import DeploymentManager
from roas.state.deployments.pruning import HistoryBounds
from roas.state.leader_lease import HeldLease
from roas.state.manager import StateManager
from roas.state.redis_sync import DataSyncManager, ping
from roas.state.seen_stacks import SeenStacks

log = get_logger(__name__)
BINDS = "binds:"


@dataclass(frozen=True, slots=True)
class MonitoringRoom:
    """Hold what sees how stacks are, and raises alerts."""

    metrics: Metrics | None
    prober: NetworkProber
    health: HealthCoordinator
    drift: DriftFinder
    collector: MonitoringCollector
    alert_service: AlertService
    service_alerts: ServiceAlerts


@dataclass(frozen=True, slots=True)
class DeploymentRoom:
    """Hold what moves stacks from one release to another; `attempts` are the recoveries that it stops first."""

    attempts: RecoveryAttempts
    validator: EnvironmentValidator
    manager: DeploymentManager
    held_lease: HeldLease
    peers: Peers
    orchestrator: DeploymentOrchestrator


def build_monitoring(base: Foundation) -> MonitoringRoom:
    """Build what sees how stacks are, and raises alerts."""
    metrics, prober = base.metrics, NetworkProber(base.stacks.probe_targets)
    health = HealthCoordinator(base.bus, base.state)
    state, stacks = base.state, base.stacks
    drift = DriftFinder(stacks, state.releases, state.deployments)
    lost = LostReleases(stacks, state.releases)
    seen = SeenStacks(state.folder / "seen", base.redactor.redact)
    sources = StackSources(
        stacks,
        stacks.statistics,
        state.releases,
        state.deployments,
        prober,
        drift,
        lost,
        seen,
        state.stops,
        state.scales,
    )
    collector = MonitoringCollector(
        sources, base.bus, health, base.engines, metrics=metrics, prometheus_url=base.settings.prometheus_url
    )
    alert_service = AlertService(base.state.alerts, base.bus, base.redactor.redact)
    service_alerts = ServiceAlerts(alert_service, base.state)
    return MonitoringRoom(metrics, prober, health, drift, collector, alert_service, service_alerts)


def build_deployment(base: Foundation, monitoring: MonitoringRoom) -> DeploymentRoom:
    """Build what moves stacks from one release to another."""
    attempts, held_lease, manager = RecoveryAttempts(), HeldLease(), DeploymentManager(base.stacks, base.state)
    validator = EnvironmentValidator(CHECKS, _survey(base))
    find_own = partial(find_own_container, base.stacks)
    peers = Peers(base.stacks, base.state, find_own)
    components = Components(
        settings=base.settings,
        state=base.state,
        bus=base.bus,
        stacks=base.stacks,
        manager=manager,
        validator=validator,
        monitoring=monitoring.collector,
        prober=monitoring.prober,
        own_container=find_own,
        held_lease=held_lease,
        peers=peers,
        stop_recovery=attempts.cancel,
        read_figure=partial(read_figure, base.settings.prometheus_url),
    )
    orchestrator = DeploymentOrchestrator(components, base.environments)
    return DeploymentRoom(attempts, validator, manager, held_lease, peers, orchestrator)


def build_recovery(base: Foundation, monitoring: MonitoringRoom, deployment: DeploymentRoom) -> ErrorCoordinator:
    """Build what recovers services."""
    alerts = monitoring.service_alerts
    checks = RecoveryChecks(
        verdict=monitoring.health.verdict,
        is_manual_stop=alerts.is_manual_stop,
        is_own=partial(_is_own, base.stacks),
        answers=partial(all_probes_answer, monitoring.prober),
        expect_end=alerts.expect_end,
    )
    parts = RecoveryParts(
        stacks=base.stacks,
        manager=deployment.manager,
        state=base.state,
        notes=monitoring.alert_service,
        checks=checks,
        roll_back=deployment.orchestrator.run,
    )
    by_us = ErrorHandler(parts, attempts=deployment.attempts)
    by_engine = SwarmRecovery(base.stacks, base.state, monitoring.alert_service, checks)
    handler = RecoveryByEngine(base.stacks, by_us, by_engine)
    return ErrorCoordinator(handler, base.state, monitoring.alert_service, base.bus, base.engines)


def build_duplicate_token(base: Foundation, alert_service: AlertService) -> DuplicateToken:
    """Build what notices another process with this bot's token."""
    return DuplicateToken(alert_service, partial(_token_holders, base.settings, base.stacks, base.engines))


def build_maintenance(
    base: Foundation,
    monitoring: MonitoringRoom,
    recovery: ErrorCoordinator,
    duplicate_token: DuplicateToken,
    figures: DeploymentFigures,
    behind: BehindProxy,
    start: Callable[[DeploymentRequest], Awaitable[Deployment]],
) -> Maintenance:
    """Build the leader's rounds."""
    state, alert_service, known = base.state, monitoring.alert_service, base.engines
    drift_alerts = DriftAlerts(monitoring.drift, alert_service, known, partial(_restore, state, start))
    parts = MaintenanceParts(
        collector=monitoring.collector,
        alerts=monitoring.service_alerts,
        alert_service=alert_service,
        recovery=recovery,
        state=state,
        catch_up=partial(_catch_up, state, monitoring, figures),
        history=HistoryBounds(base.settings.history_days, base.settings.history_rows),
        checks=(
            JournalBackup(state, alert_service).check,
            PrometheusWatch(base.settings.prometheus_url, alert_service).check,
            duplicate_token.check,
            SharedStateFolder(state, alert_service).check,
            FreezeReminder(state, alert_service).check,
            BackupSchedule(base.stacks, state, alert_service, known, start).check,
            drift_alerts.check,
            NodeAlerts(base.stacks, alert_service, known).check,
            RenewedLogins(base.stacks, state, known).check,
            LeftDrains(base.stacks, state, behind, known).check,
            WritersLeftStopped(base.stacks, state, known).check,
        ),
    )
    return Maintenance(parts)


async def _restore(
    state: StateManager, start: Callable[[DeploymentRequest], Awaitable[Deployment]], environment: Environment
) -> None:
    """Start to bring back the release that an environment is on. Raises RoasError."""
    current = await state.releases.current(environment.name)
    if current is not None:
        reason = said("what was changed by hand is undone")
        request = DeploymentRequest(
            environment.name, DeploymentKind.ROLLBACK, RECOVERY_ACTOR, target_release=current.number, reason=reason
        )
        await start(request)


def build_projection(base: Foundation) -> DataSyncManager | None:
    """Build what projects the journal to Redis, if that is configured; the caller starts it."""
    if base.settings.redis_url is None:
        return None
    name = base.settings.compose_project_name or "default"
    return DataSyncManager(base.state, base.settings.redis_url.get_secret_value(), name, base.redactor.redact)


async def find_own_container(stacks: Stacks, environment: Environment) -> OwnContainer | None:
    """Return the container of an environment that this process runs in, or None.

    What replaces containers by itself replaces that one, too: there, it is one like any other.
    """
    stack = stacks.of(environment)
    probe = stack.probe()
    if stack.replaces_by_itself or not probe.in_container():
        return None
    own = await probe.own_container()
    return own if own is not None and own.project == environment.project else None


async def _catch_up(state: StateManager, monitoring: MonitoringRoom, figures: DeploymentFigures) -> None:
    """Read from the journal what other processes did, as far as figures are made of it. Raises StateError."""
    # What the release before said of binds that lead elsewhere: nobody looks at these any more.
    await OwnAlerts(monitoring.alert_service, BINDS).report(())
    if monitoring.metrics is not None:
        monitoring.metrics.load_open_alerts(await state.alerts.open())
    await figures.refresh()


async def _token_holders(settings: Settings, stacks: Stacks, known: Mapping[str, Environment]) -> tuple[str, ...]:
    """Describe the containers with this bot's token, but for its own, on all engines that answer."""
    if (token := settings.discord_token) is None:
        return ()

    async def find(environment: Environment) -> dict[str, str]:
        try:
            probe = stacks.of(environment).probe()
            own = await probe.own_container() if probe.in_container() else None
            holders = await probe.holders_of(token.get_secret_value())
        except RoasError as error:
            log.warning("holders of the token are not known", environment=environment.name, error=error.message)
            return {}
        return {container_id: text for container_id, text in holders if own is None or container_id != own.id}

    found: dict[str, str] = {}
    for item in await run_concurrently(find(environment) for environment in known.values()):
        found |= item
    return tuple(found.values())


async def _is_own(stacks: Stacks, environment: Environment, service: str) -> bool:
    """Return whether a service is the one that this process runs in."""
    own = await find_own_container(stacks, environment)
    return own is not None and own.service == service


def _survey(base: Foundation) -> EnvironmentSurvey:
    settings, redis_url = base.settings, base.settings.redis_url
    return EnvironmentSurvey(
        settings,
        base.stacks,
        ping_redis=None if redis_url is None else lambda: ping(redis_url.get_secret_value()),
        discord_facts=partial(fetch_discord_facts, settings) if settings.discord_token is not None else None,
        unusable_targets=partial(unusable_targets, settings.notify) if settings.notify else None,
    )
