"""Begin backups on their schedule (`x-deploy.backup.every`), and raise an alert where one failed or has to wait.

What was missed while no bot led runs once. A backup waits for the deployment that holds its environment, even for one
that only watches its release, and for a service that somebody stopped.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from roas.alerts.alert_service import AlertService
from roas.alerts.bot_alerts import OwnAlerts
from roas.concurrency import run_concurrently
from roas.errors import ReleaseNotRestorableError, RoasError
from roas.limits import SCHEDULED_BACKUP_PATIENCE
from roas.log import get_logger
from roas.messages.message import said
from roas.models.actor import Actor, ActorKind
from roas.models.alert import AlertReport, AlertSource, Severity
from roas.models.backup import BackupReason
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest, Operation, Outcome
from roas.models.environment import Environment
from roas.models.release import Release
from roas.models.windows import last_moment
from roas.stack.stacks import Stacks
from roas.state.deployments.locks import LockHeldError
from roas.state.manager import StateManager

log = get_logger(__name__)

PREFIX = "backup:"
ON_SCHEDULE = Actor(ActorKind.SYSTEM, "backups", said("the schedule of backups"))
Start = Callable[[DeploymentRequest], Awaitable[Deployment]]


@dataclass(slots=True)
class BackupSchedule:
    """Look which backups are due, in the leader's rounds: each is an operation of its own, which is not waited for."""

    stacks: Stacks
    state: StateManager
    alert_service: AlertService
    environments: Mapping[str, Environment]
    start: Start
    _every: dict[str, tuple[str, Mapping[str, str]]] = field(default_factory=dict)
    _alerts: OwnAlerts = field(init=False)

    def __post_init__(self) -> None:
        """Raise alerts of one kind."""
        self._alerts = OwnAlerts(self.alert_service, PREFIX)

    async def check(self) -> None:
        """Begin what is due, and raise or end alerts. Raises StateError."""
        released = await self.state.releases.released()
        names = [name for name in self.environments if name in released]
        found = await run_concurrently(self._check(self.environments[name]) for name in names)
        await self._alerts.report(report for reports in found for report in reports)

    async def _check(self, environment: Environment) -> list[AlertReport]:
        """Begin what is due of one environment; returns what is wrong."""
        every, wrong = await self._rules(environment), list[AlertReport]()
        if not every:
            return wrong
        release = await self.state.releases.applied(environment.name)
        saves, idle = await self.state.deployments.saves(environment.name), await self._idle(environment)
        now = datetime.now(UTC)
        for service, cron in sorted(every.items()):
            # What is from later than now was made while the clock was ahead.
            known = [save for save in saves.get(service, ()) if save.created_at <= now]
            text = _failure(next((save for save in known if save.finished), None))
            before = next(iter(known), None)
            began = before.created_at if before is not None else await self._began(environment, service, release)
            moment = last_moment(cron, environment.windows.place, now)
            if began is not None and service not in idle and _is_due(moment, began, before):
                text = await self._begin(environment, service, moment) or text
            if text:
                wrong.append(_report(environment.name, service, text))
        return wrong

    async def _idle(self, environment: Environment) -> Collection[str]:
        """Return the services that somebody stopped, or scaled to nothing: they wait until they run."""
        scales = await self.state.scales.of(environment.name)
        return {*await self.state.stops.of(environment.name)}.union(
            name for name in scales if not scales[name].replicas
        )

    async def _began(self, environment: Environment, service: str, release: Release | None) -> datetime | None:
        """Return since when a service waits for its next backup, of which no attempt is known any more.

        None where nothing is deployed. What is made more often may have displaced its attempts.
        """
        for backup in await self.state.data_backups.list(environment.name):
            is_scheduled = backup.service == service and backup.reason is BackupReason.SCHEDULE
            if is_scheduled and backup.created_at <= datetime.now(UTC):
                return backup.created_at
        return None if release is None else release.created_at

    async def _rules(self, environment: Environment) -> Mapping[str, str]:
        """Return the cron expressions of what runs, by service; a model is read once."""
        model_hash = await self.state.releases.applied_model(environment.name)
        known = self._every.get(environment.name)
        if model_hash is None:
            return {}
        if known is None or known[0] != model_hash:
            every = dict[str, str]()
            with suppress(ReleaseNotRestorableError):
                stack = self.stacks.of(environment)
                definitions = stack.definitions(await stack.load_model(model_hash))
                rules = {name: definition.backup for name, definition in definitions.items() if definition.replicas}
                every = {name: rule.every for name, rule in rules.items() if rule is not None and rule.every}
            known = self._every[environment.name] = (model_hash, every)
        return known[1]

    async def _begin(self, environment: Environment, service: str, moment: datetime) -> str:
        """Begin one, unless a deployment is in the way; returns what to tell where that takes too long."""
        lock = await self.state.locks.get(environment.name)
        if lock is not None:
            return _waits(service, moment, LockHeldError(lock))
        reason = said("it was due at {when} UTC", when=f"{moment:%Y-%m-%d %H:%M}")
        request = DeploymentRequest(
            environment.name,
            DeploymentKind.DEPLOY,
            ON_SCHEDULE,
            services=(service,),
            operation=Operation.SAVE,
            reason=reason,
        )
        try:
            started = await self.start(request)
        except RoasError as error:
            log.warning("scheduled backup has to wait", environment=environment.name, error=error.message)
            return _waits(service, moment, error)
        log.info("scheduled backup began", environment=environment.name, service=service, deployment_id=started.id)
        return ""


def _is_due(moment: datetime, began: datetime, before: Deployment | None) -> bool:
    """Return whether the last attempt is older than the schedule's last moment, or failed long enough ago.

    One that began later than now did so by a clock that was ahead.
    """
    if before is not None and not before.finished:
        return False
    now, failed = datetime.now(UTC), before is not None and before.outcome is not Outcome.SUCCEEDED
    return moment > began or began > now or (failed and now - began > SCHEDULED_BACKUP_PATIENCE)


def _failure(last: Deployment | None) -> str:
    """Say why the last attempt that has ended failed; the one that is under way has not succeeded yet."""
    if last is None or last.outcome is Outcome.SUCCEEDED:
        return ""
    why = last.problem.message if last.problem is not None else said("it was cancelled")
    return said("{deployment}: {reason} It is tried again every hour.", deployment=last.id, reason=why)


def _waits(service: str, moment: datetime, error: RoasError) -> str:
    if datetime.now(UTC) - moment < SCHEDULED_BACKUP_PATIENCE:
        return ""
    when = f"{moment:%Y-%m-%d %H:%M}"
    return said(
        "The data of {service} was to be backed up at {when} UTC: {reason}",
        service=service,
        when=when,
        reason=error.message,
    )


def _report(environment: str, service: str, text: str) -> AlertReport:
    return AlertReport(
        f"{PREFIX}{environment}:{service}",
        AlertSource.INTEGRATION,
        Severity.HIGH,
        said("the scheduled backup of {service} fails or waits", service=service),
        text,
        environment=environment,
    )
