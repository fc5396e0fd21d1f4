"""Build every part of the application once, connect them, and close them in reverse order."""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Protocol

from roas.alerts.alert_service import AlertService
from roas.alerts.bot_alerts import (
    DuplicateToken,
    FreezeReminder,
    JournalBackup,
    OwnAlerts,
    PrometheusWatch,
    SharedStateFolder,
    token_holders,
)
from roas.alerts.drift_alerts import DriftAlerts
from roas.alerts.node_alerts import NodeAlerts
from roas.alerts.service_alerts import ServiceAlerts
from roas.api.application import ControlApi
from roas.api.control_socket import ControlSocket
from roas.api.remote import RemoteApi, RemoteServer
from roas.app.backup_schedule import BackupSchedule
from roas.app.foundation import BOT, Foundation, open_foundation
from roas.app.integration import IntegrationCoordinator
from roas.app.maintenance import EnvironmentCheck, Maintenance, MaintenanceParts
from roas.app.offsite_backups import OffsiteBackups
from roas.app.orphans import OrphanedDeployments
from roas.apprise_target import unusable_targets
from roas.candidates.coordinator import CandidateCoordinator
from roas.candidates.credentials import Credentials
from roas.candidates.inspection import SourceInspector
from roas.candidates.statuses import StatusReporter, find_link, forges_of
from roas.candidates.sweep import RegistrySweep
from roas.candidates.webhooks import Webhooks, find_idle
from roas.checks.discord_facts import fetch_discord_facts
from roas.checks.subject import EnvironmentSurvey
from roas.checks.validator import CHECKS, EnvironmentValidator
from roas.configuration.settings import Settings
from roas.deploy.components import Components
from roas.deploy.data.stopped_writers import start_left
from roas.deploy.operations.secret_keeper import SecretKeeper
from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.deploy.peers import Peers
from roas.deploy.schedule import Schedule
from roas.health.collector import MonitoringCollector, StackSources
from roas.health.coordinator import HealthCoordinator
from roas.health.drift_finder import DriftFinder
from roas.health.probes import NetworkProber
from roas.health.wanted_services import LostReleases
from roas.messages.message import said
from roas.metrics.bot_metrics import Metrics
from roas.metrics.integration_monitor import DeploymentFigures, IntegrationMeasurements, IntegrationMonitor
from roas.metrics.prometheus import read_figure
from roas.models.deployment import DeploymentKind, DeploymentRequest
from roas.models.environment import Environment
from roas.models.facts import OwnContainer
from roas.models.release import Release
from roas.models.stack import ServiceDefinition
from roas.recovery.attempts import RecoveryAttempts
from roas.recovery.coordinator import ErrorCoordinator
from roas.recovery.handler import RECOVERY_ACTOR, ErrorHandler, RecoveryParts
from roas.recovery.refusals import RecoveryChecks
from roas.recovery.upkeep import LeftDrains, renew_logins
from roas.stack.stacks import Stacks
from roas.stack.updating.deployment_manager import DeploymentManager
from roas.state.deployments.pruning import HistoryBounds
from roas.state.leadership import Leadership
from roas.state.manager import StateManager
from roas.state.redis_sync import DataSyncManager, ping
from roas.state.seen_stacks import SeenStacks
from roas.web_client import WebClient

# What the release before raised of binds that lead elsewhere.
BINDS = "binds:"


class LeaderTask(Protocol):
    """Do what only the leader does."""

    async def start(self) -> None:
        """Begin; the journal says where the leader before was."""
        ...

    async def stop(self) -> None:
        """Stop, also where it never started; the next leader goes on by the journal."""
        ...


class Application:
    """Build every part once, each after those that it needs, and hold them for all who share them.

    `leader_tasks` are started in their order, and stopped in reverse.
    """

    def __init__(self, base: Foundation, web: WebClient | None = None) -> None:
        """Build on what is open already; without `web` nobody is asked for versions, and no forge is told."""
        self.settings, self.environments, self.engines = base.settings, base.environments, base.engines
        self.redactor, self.bus, self.state, self.stacks = base.redactor, base.bus, base.state, base.stacks
        self.metrics, self.shared = base.metrics, base.shared
        self._build_monitoring()
        self._build_deployment()
        self._build_alerts()
        self._build_maintenance()
        self.candidates = CandidateCoordinator(self.state, self.orchestrator, self.bus, self.environments)
        self.schedule = Schedule(
            self.state,
            self.orchestrator,
            self.bus,
            self.environments,
            has_approvers=bool(self.settings.discord_approver_role_ids),
        )
        self.control_api = ControlApi(
            state=self.state,
            orchestrator=self.orchestrator,
            environments=self.environments,
            health=self.collector,
            candidates=self.candidates,
            secrets=SecretKeeper(self.stacks, self.state, self.redactor),
            notify_schedule=self.schedule.notify,
        )
        self.forges = {} if web is None else forges_of(self.settings.sources, web, self.redactor.add)
        self.remote = None if web is None else self._build_remote(web)
        self.leader_tasks = self._list_leader_tasks()

    async def own_container(self, environment: Environment) -> OwnContainer | None:
        """Return the container of an environment that this process runs in, or None."""
        return await self.stacks.own_container(environment)

    def _build_monitoring(self) -> None:
        """Build what sees how stacks are, and how well the parts work together."""
        state, stacks = self.state, self.stacks
        self.prober = NetworkProber(stacks.probe_targets)
        self.health = HealthCoordinator(self.bus, state)
        self.drift = DriftFinder(stacks, state.releases, state.deployments)
        sources = StackSources(
            stacks,
            stacks.statistics,
            state.releases,
            state.deployments,
            self.prober,
            self.drift,
            LostReleases(stacks, state.releases),
            SeenStacks(state.folder / "seen", self.redactor.redact),
            state.stops,
            state.scales,
        )
        self.collector = MonitoringCollector(
            sources,
            self.bus,
            self.health,
            self.engines,
            metrics=self.metrics,
            prometheus_url=self.settings.prometheus_url,
        )
        self.sync = self._build_projection()
        self.deployment_figures = DeploymentFigures(state, self.environments)
        measurements = IntegrationMeasurements(self.bus, self.sync, deployments=self.deployment_figures)
        self.integration_monitor = IntegrationMonitor(self.bus, measurements)

    def _build_projection(self) -> DataSyncManager | None:
        """Build what projects the journal to Redis, if that is configured."""
        if self.settings.redis_url is None:
            return None
        name = self.settings.compose_project_name or "default"
        return DataSyncManager(self.state, self.settings.redis_url.get_secret_value(), name, self.redactor.redact)

    def _build_deployment(self) -> None:
        """Build what moves stacks from one release to another."""
        self.validator = EnvironmentValidator(CHECKS, _survey(self.settings, self.stacks, self.state))
        self.deployment_manager = DeploymentManager()
        self.leadership = Leadership(is_leader=False)
        self.peers = Peers(self.stacks, self.state, self.own_container)
        self.recovery_attempts = RecoveryAttempts()
        components = Components(
            settings=self.settings,
            state=self.state,
            bus=self.bus,
            stacks=self.stacks,
            manager=self.deployment_manager,
            validator=self.validator,
            monitoring=self.collector,
            prober=self.prober,
            own_container=self.own_container,
            leadership=self.leadership,
            peers=self.peers,
            stop_recovery=self.recovery_attempts.cancel,
            read_figure=partial(read_figure, self.settings.prometheus_url),
        )
        self.orchestrator = DeploymentOrchestrator(components, self.environments)

    def _build_alerts(self) -> None:
        """Build what raises alerts, and what recovers services."""
        state, stacks = self.state, self.stacks
        self.alert_service = AlertService(state.alerts, self.bus, self.redactor.redact)
        self.service_alerts = ServiceAlerts(self.alert_service, state)
        token = self.settings.discord_token.get_secret_value() if self.settings.discord_token else None
        self.duplicate_token = DuplicateToken(
            self.alert_service, partial(token_holders, stacks, self.engines.values(), token)
        )
        self.integration = IntegrationCoordinator(state, self.bus, self.collector, self.alert_service)
        checks = RecoveryChecks(
            health=self.health,
            alerts=self.service_alerts,
            prober=self.prober,
            own_container=self.own_container,
        )
        parts = RecoveryParts(
            stacks=stacks,
            manager=self.deployment_manager,
            state=state,
            notes=self.alert_service,
            checks=checks,
            orchestrator=self.orchestrator,
        )
        handler = ErrorHandler(parts, attempts=self.recovery_attempts)
        self.recovery = ErrorCoordinator(handler, state, self.alert_service, self.bus, self.engines)

    def _build_maintenance(self) -> None:
        """Build the leader's rounds."""
        parts = MaintenanceParts(
            collector=self.collector,
            alerts=self.service_alerts,
            alert_service=self.alert_service,
            recovery=self.recovery,
            state=self.state,
            catch_up=self._catch_up,
            history=HistoryBounds(self.settings.history_days, self.settings.history_rows),
            checks=self._list_checks(),
            environment_checks=self._list_environment_checks(),
            environments=self.engines,
        )
        self.maintenance = Maintenance(parts)

    def _list_checks(self) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        """List what each round checks."""
        state, stacks, alert_service, known = self.state, self.stacks, self.alert_service, self.engines
        return (
            JournalBackup(state, alert_service).check,
            PrometheusWatch(self.settings.prometheus_url, alert_service).check,
            self.duplicate_token.check,
            SharedStateFolder(state, alert_service).check,
            FreezeReminder(state, alert_service).check,
            BackupSchedule(stacks, state, alert_service, known, self.orchestrator.start).check,
            NodeAlerts(stacks, alert_service, known).check,
        )

    def _list_environment_checks(self) -> tuple[EnvironmentCheck, ...]:
        """List what is checked of each environment that is on a release, and how often."""
        stacks, state = self.stacks, self.state
        drift = DriftAlerts(self.drift, self.alert_service, self._restore)
        drains = LeftDrains(stacks, state, self.deployment_manager.behind_proxy)
        logins, writers = partial(renew_logins, stacks), partial(start_left, stacks, state)
        return (
            EnvironmentCheck("drift", drift.check),
            EnvironmentCheck("drains", drains.check),
            EnvironmentCheck("logins", logins, every_seconds=60.0, only_free=True),
            EnvironmentCheck("stopped writers", writers, every_seconds=30.0, only_free=True),
        )

    async def _catch_up(self) -> None:
        """Read from the journal what other processes did, as far as figures are made of it. Raises StateError."""
        # Nobody looks at these binds any more.
        await OwnAlerts(self.alert_service, BINDS).report(())
        if self.metrics is not None:
            self.metrics.load_open_alerts(await self.state.alerts.open())
        await self.deployment_figures.refresh()

    async def _restore(self, environment: Environment) -> None:
        """Start to bring back the release that an environment is on. Raises RoasError."""
        current = await self.state.releases.current(environment.name)
        if current is not None:
            reason = said("what was changed by hand is undone")
            request = DeploymentRequest(
                environment.name, DeploymentKind.ROLLBACK, RECOVERY_ACTOR, target_release=current.number, reason=reason
            )
            await self.orchestrator.start(request)

    def _build_remote(self, web: WebClient) -> RemoteServer:
        """Build what takes and finds the versions that sources offer. Raises SettingsError."""
        sources, registry, candidates = self.settings.sources, self.stacks.registry, self.candidates
        inspector = SourceInspector(
            sources, registry, candidates, self.forges, self.environments, self.stacks.repositories
        )
        sweep = RegistrySweep(sources, registry, candidates, self.state, self._definitions)
        candidates.inspect_with(inspector.inspect, sweep.run, inspector.sweep)
        webhooks = Webhooks(sources, self.state.deliveries.add, candidates.notify)
        credentials = Credentials(sources, web.fetch_json)
        api = RemoteApi(self.state, candidates, credentials, self.environments, webhooks)
        return RemoteServer(api, self.settings.api_host, self.settings.api_port)

    async def _definitions(self, release: Release) -> Mapping[str, ServiceDefinition]:
        """Return how the services of a release are defined. Raises ReleaseNotRestorableError."""
        return self.stacks.definitions(await self.stacks.load_model(release.model_hash))

    def _list_leader_tasks(self) -> tuple[LeaderTask, ...]:
        """List what only the leader does, in the order in which it is started."""
        link = partial(find_link, self.state, self.settings)
        return (
            OrphanedDeployments(self.orchestrator),
            ControlSocket(self.control_api, self.state.folder),
            StatusReporter(self.forges, self.state, self.bus, link),
            self.candidates,
            self.schedule,
            OffsiteBackups(self.stacks, self.state, self.alert_service, self.engines, self.redactor),
            self.maintenance,
            *((self.sync,) if self.sync is not None else ()),
            self.integration_monitor,
        )

    async def start(self, stack: AsyncExitStack) -> None:
        """Start what a standby does, too; what is started last is stopped first."""
        await self._count(stack)
        self.integration_monitor.listen()
        stack.push_async_callback(self.integration_monitor.close)
        self.collector.start()
        stack.push_async_callback(self.collector.close)
        self.integration.start(self.engines)
        stack.push_async_callback(self.integration.close)
        stack.push_async_callback(self.orchestrator.close)
        for task in self.leader_tasks:  # whoever started them without an election
            stack.push_async_callback(task.stop)
        if self.remote is not None:
            await self.remote.start()
            stack.push_async_callback(self.remote.stop)

    async def _count(self, stack: AsyncExitStack) -> None:
        """Let what is counted for Prometheus see the other parts."""
        if (metrics := self.metrics) is None:
            return
        metrics.attach(self.bus)
        metrics.load_open_alerts(await self.state.alerts.open())
        metrics.read_integration(self.integration_monitor)
        metrics.read_deployments(self.deployment_figures)
        if self.sync is not None:
            metrics.read_projection(self.sync)
        if self.shared is not None:
            metrics.read_shared_state(self.shared.log)
        stack.callback(self.state.subscribe(metrics.count_change))


def _survey(settings: Settings, stacks: Stacks, state: StateManager) -> EnvironmentSurvey:
    redis_url = settings.redis_url
    return EnvironmentSurvey(
        settings,
        stacks,
        ping_redis=None if redis_url is None else lambda: ping(redis_url.get_secret_value()),
        discord_facts=partial(fetch_discord_facts, settings) if settings.discord_token is not None else None,
        unusable_targets=partial(unusable_targets, settings.notify) if settings.notify else None,
        idle_webhooks=partial(find_idle, state, settings.sources) if settings.sources else None,
    )


@asynccontextmanager
async def open_application(
    settings: Settings,
    *,
    instance_prefix: str = BOT,
    metrics: Metrics | None = None,
    read_only: bool = False,
) -> AsyncIterator[Application]:
    """Open the journal, build every part, and close them in reverse order. Raises StateError, SettingsError.

    `metrics` count for a Prometheus: only the bot by itself serves them. Nothing is resumed by itself: call
    `orchestrator.resume()` for what a dead process left. Who `read_only` makes no journal where there is none.
    """
    opened = open_foundation(settings, instance_prefix=instance_prefix, metrics=metrics, read_only=read_only)
    async with opened as base, AsyncExitStack() as stack:
        web = WebClient()
        stack.push_async_callback(web.close)
        application = Application(base, web if instance_prefix == BOT else None)
        await application.start(stack)
        yield application
