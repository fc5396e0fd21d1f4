"""Raise and resolve the alerts of our own services, from the engine's events and the samples."""

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from roas.alerts.alert_service import AlertService
from roas.alerts.manual_stops import ManualStops, Place, seems_stopped
from roas.errors import RoasError
from roas.health.collector import Observation
from roas.health.verdicts import Clock, how_it_ended, judge_service, reason_of
from roas.health.wanted_services import Definitions
from roas.messages.message import joined, said
from roas.models.alert import Alert, AlertReport, AlertSource, RecoveryStatus, Severity
from roas.models.deployment import UNTOUCHED_STEPS, ServiceProgress, ServiceStep
from roas.models.environment import Environment
from roas.models.health import (
    ContainerSnapshot,
    ContainerState,
    HealthStatus,
    ServiceHealth,
    StackHealth,
    Verdict,
)
from roas.models.stack import ServiceDefinition
from roas.models.state_change import ChangeType, StateChange
from roas.stack.interface import ContainerEvent
from roas.state.manager import StateManager


def failed_replicas(progress: Iterable[ServiceProgress]) -> frozenset[str]:
    """Return the containers for which rollouts are paused, or that somebody accepted as failed before."""
    paused = (entry.rollout for entry in progress if entry.step is ServiceStep.PAUSED and entry.rollout is not None)
    return frozenset[str]().union(*(rollout.tolerated for rollout in paused))


def without_failed(
    health: ServiceHealth, definition: ServiceDefinition | None, failed: Collection[str]
) -> ServiceHealth:
    """Judge a service that is unhealthy by its other replicas; where there are none, by all: nobody is served."""
    others = [container for container in health.containers if container.id not in failed]
    if health.verdict is not Verdict.UNHEALTHY or definition is None or not others:
        return health
    gone = len(health.containers) - len(others)
    if not gone:
        return health
    # Start-first, the old container of a replica that failed goes on.
    expected = definition.replicas if definition.start_first else max(0, definition.replicas - gone)
    return judge_service(replace(definition, replicas=expected), others)


# In the place of a service's name: what is said of the engine.
STACK = ""


def engine_reports(environment: Environment, stack: StackHealth, alerts: Mapping[str, Alert]) -> list[AlertReport]:
    """Report that an engine is unavailable, or is back; while it is away nothing is known of any service."""
    away = bool(stack.services) and all(health.verdict is Verdict.UNKNOWN for health in stack.services)
    if away and STACK not in alerts:
        title = said("{environment}: the Docker engine cannot be reached", environment=environment.name)
        if environment.on_swarm:
            title = said("{environment}: no manager of the Swarm answers", environment=environment.name)
        summary = stack.services[0].reason or said("The engine does not answer.")
        return [_report(environment, STACK, Severity.CRITICAL, title, summary)]
    known = any(health.verdict is not Verdict.UNKNOWN for health in stack.services)
    return [over(alerts[STACK])] if known and STACK in alerts else []


def how_it_died(event: ContainerEvent, *, starved: bool) -> str:
    """Say how a service's process has ended, by the event that tells of it."""
    service, code = event.service, event.attributes.get("exitCode", "")
    if why := event.attributes.get("why"):
        return said("{service} has ended on {node}: {why}", service=service, node=event.attributes["node"], why=why)
    return reason_of(service, how_it_ended(int(code) if code.isdigit() else None, starved=starved))


def down(environment: Environment, service: str, summary: str, definitions: Definitions) -> AlertReport:
    """Report that a service fails."""
    definition = definitions.get(service)
    critical = service in environment.critical_services or (definition is not None and definition.critical)
    severity = Severity.CRITICAL if critical else Severity.HIGH
    title = said("{environment}: {service} is down", environment=environment.name, service=service)
    return _report(environment, service, severity, title, said("{summary}.", summary=summary))


def stopped(environment: Environment, health: ServiceHealth, *, was_seen: bool) -> AlertReport:
    """Report that a service was stopped by hand, or looks as if; where some of its containers run, a part of it was."""
    service, reason = health.service, reason_of(health.service, health.reason)
    if any(map(_runs, health.containers)):
        title = said("{environment}: a part of {service} is stopped", environment=environment.name, service=service)
        summary = said("{reason}. It looks intentional, so it is left as it is.", reason=reason)
    elif was_seen:
        title = said("{environment}: {service} was stopped manually", environment=environment.name, service=service)
        summary = said("{reason}. It is left as it is.", reason=reason)
    else:
        title = said("{environment}: {service} is stopped", environment=environment.name, service=service)
        summary = said(
            "{reason}. The bot did not see it stop; it looks intentional, so it is left as it is.", reason=reason
        )
    if not environment.on_swarm:
        summary = joined(" ", (summary, _how_to_start(environment, health)))
    return _report(environment, service, Severity.WARNING, title, summary)


def _how_to_start(environment: Environment, health: ServiceHealth) -> str:
    if any(container.state is ContainerState.PAUSED for container in health.containers):
        return said(
            "To start it again: `roas compose {environment} -- unpause {service}`.",
            environment=environment.name,
            service=health.service,
        )
    if any(map(_runs, health.containers)):
        return said(
            "To bring back the rest: `/start {service}`, or `roas start {environment} {service}`.",
            environment=environment.name,
            service=health.service,
        )
    return said(
        "To start it again: `/start {service}`, or `roas start {environment} {service}`.",
        environment=environment.name,
        service=health.service,
    )


def over(alert: Alert) -> AlertReport:
    """Report that what an alert is about is over."""
    return AlertReport(alert.fingerprint, alert.source, alert.severity, alert.title, firing=False)


def _report(environment: Environment, service: str, severity: Severity, title: str, summary: str) -> AlertReport:
    fingerprint = f"health:{environment.name}:{service}"
    return AlertReport(fingerprint, AlertSource.HEALTH, severity, title, summary, environment.name, service)


SOURCE = "health"
NANOSECONDS = 10**9
# An alert that fired this often is over only after a while without trouble.
FLAPS = 3
CALM_SECONDS = 30.0
# A service that is still unhealthy this long after it was recovered was not.
RELAPSE_SECONDS = 60.0
# A process that ends so soon after the kernel killed something in its container ended for want of memory.
STARVED_SECONDS = 10.0
TAKEN_AWAY = frozenset({ServiceStep.REMOVING, ServiceStep.REMOVED})
# Only of these it matters who did it; a deployment starts containers by the dozen.
JUDGED_BY_WHO = frozenset({"die", "stop", "pause", "destroy"})
SERVING = frozenset({Verdict.HEALTHY, Verdict.UNVERIFIED, Verdict.DEGRADED})


class ServiceAlerts:
    """Distinguish faults from the effects of a deployment, of a recovery, and of a manual change."""

    def __init__(
        self,
        alert_service: AlertService,
        state: StateManager,
        manual_stops: ManualStops | None = None,
        *,
        clock: Clock = time.monotonic,
    ) -> None:
        self._alert_service = alert_service
        self._state = state
        self._manual_stops = manual_stops or ManualStops()
        self._clock = clock
        self._trouble: dict[Place, float] = {}
        self._oom_killed_at: dict[str, float] = {}
        self._relapsing: dict[str, float] = {}
        self._unsaved: dict[Place, AlertReport] = {}
        self._expected_ends: set[str] = set()

    def expect_end(self, container_id: str) -> None:
        """Record that a recovery is about to stop a container: until its start, its end is no manual stop."""
        self._expected_ends.add(container_id)

    def is_manual_stop(self, environment: str, service: str) -> bool:
        """Return whether a manual stop of a service was seen."""
        return self._manual_stops.is_known_stop(environment, service)

    async def container_event(self, environment: Environment, event: ContainerEvent, definitions: Definitions) -> None:
        """Raise an alert the moment that a service's process ends by itself."""
        if event.action == "oom":
            self._oom_killed_at[event.container_id] = self._clock()
        if event.action not in JUDGED_BY_WHO | {"kill", "unpause", "start"}:
            return
        by_us = event.action in JUDGED_BY_WHO and await self._is_ours(environment, event)
        if event.action in {"start", "destroy"}:
            self._expected_ends.discard(event.container_id)
        oom_killed_at = self._oom_killed_at.pop(event.container_id, float("-inf"))
        starved = self._clock() - oom_killed_at <= STARVED_SECONDS
        code = event.attributes.get("exitCode", "")
        definition = definitions.get(event.service)
        done = definition is not None and definition.ends_well and code == "0"
        if not self._manual_stops.handle_event(environment.name, event, by_us=by_us) or done:
            return
        if await self._is_recovering(environment, event.service):
            return  # recovery notices that it ended again, and reports it
        self._trouble[environment.name, event.service] = self._clock()
        summary = how_it_died(event, starved=starved)
        self._unsaved[environment.name, event.service] = down(environment, event.service, summary, definitions)
        await self._write(environment)
        facts = {"code": code}
        change = StateChange(
            ChangeType.SERVICE_STOPPED, SOURCE, environment.name, event.service, new="ended", metadata=facts
        )
        await self._state.record(change)

    async def observed(
        self, environment: Environment, stack: StackHealth, definitions: Definitions, observation: Observation
    ) -> None:
        """Raise alerts for what is unhealthy and resolve those of what is healthy again."""
        await self._write(environment)
        known = await self._state.alerts.open(environment.name)
        alerts = {alert.service: alert for alert in known if alert.source is AlertSource.HEALTH}
        await self._retry_recovery(environment, stack, known)
        reports = engine_reports(environment, stack, alerts)
        failed = await self._failed_replicas(environment)
        await self._learn_what_we_left(
            environment, [service for service in stack.services if service.service not in observation.owned]
        )
        await self._lift_stops(environment, stack, definitions, observation)
        for seen in stack.services:
            self._manual_stops.learn_stop_signals(seen.containers)
            health = without_failed(seen, definitions.get(seen.service), failed)
            if health.service not in observation.owned:
                reports += self._service_reports(
                    environment, health, alerts.get(health.service), definitions, observation
                )
        if stack.verdict is not Verdict.UNKNOWN:
            present = {health.service for health in stack.services}
            reports += [over(a) for name, a in alerts.items() if name and name not in present and _may_resolve(a)]
        if reports:
            await self._alert_service.take(reports)

    async def _lift_stops(
        self, environment: Environment, stack: StackHealth, definitions: Definitions, observation: Observation
    ) -> None:
        """Forget that services were stopped through the bot that somebody has started since."""
        for seen in stack.services:
            definition = definitions.get(seen.service)
            has_run = any(map(_runs, seen.containers))
            if definition is not None and definition.stopped and has_run and seen.service not in observation.owned:
                await self._state.stops.lift(environment.name, seen.service)

    async def owned(self, environment: Environment) -> frozenset[str]:
        """Return the services that a deployment is changing: what happens to them is its own affair.

        One that is paused changes nothing, perhaps for hours: what breaks meanwhile is told, also of the service that
        it asks about. Only what it took away is its affair.
        """
        progress = await self._state.deployments.progress_under_way(environment.name)
        return await self._of_deployment(environment, progress)

    async def _learn_what_we_left(self, environment: Environment, services: Iterable[ServiceHealth]) -> None:
        """Remember that what a failed deployment of ours left stopped was stopped by nobody's hands."""
        unhealthy = [health for health in services if health.verdict is Verdict.UNHEALTHY and seems_stopped(health)]
        guessed = [
            health.service
            for health in unhealthy
            if not self._manual_stops.has_seen_end(environment.name, health.service)
        ]
        if guessed:
            _, left = await self._state.deployments.left_by_failure(environment.name)
            for service in left.intersection(guessed):
                self._manual_stops.mark_failed(environment.name, service)

    async def _is_ours(self, environment: Environment, event: ContainerEvent) -> bool:
        if event.container_id in self._expected_ends:
            return True
        progress = await self._state.deployments.progress_under_way(environment.name, event.service)
        if event.service in await self._of_deployment(environment, progress):
            return True
        if event.container_id in failed_replicas(progress):
            return True
        # The engine may tell of a stop when the deployment that asked for it has ended.
        moment = datetime.fromtimestamp(event.time_ns / NANOSECONDS, UTC)
        return await self._state.deployments.had_touched(environment.name, event.service, moment)

    async def _failed_replicas(self, environment: Environment) -> frozenset[str]:
        return failed_replicas(await self._state.deployments.progress_under_way(environment.name))

    async def _of_deployment(self, environment: Environment, progress: Iterable[ServiceProgress]) -> frozenset[str]:
        touched = [entry for entry in progress if _is_touched(entry)]
        lock = await self._state.locks.get(environment.name) if touched else None
        is_partial = lock is not None and lock.is_partial
        return frozenset(entry.service for entry in touched if not is_partial or entry.step in TAKEN_AWAY)

    async def _write(self, environment: Environment) -> None:
        """Save what events reported; where the journal refuses it now, it is saved at the next look."""
        for place in [place for place in self._unsaved if place[0] == environment.name]:
            report = self._unsaved.pop(place, None)
            if report is None:
                continue
            try:
                taken = await self._alert_service.take([report])
            except RoasError:
                self._unsaved.setdefault(place, report)
                raise
            for result in taken:
                if not result.triggered and result.alert.healing is RecoveryStatus.SUCCEEDED:
                    self._alert_service.trigger_again(
                        result.alert
                    )  # it was recovered a moment ago, and that did not last

    async def _retry_recovery(self, environment: Environment, stack: StackHealth, alerts: Iterable[Alert]) -> None:
        """Start the recoveries that waited for a deployment to end, and those of what did not stay healthy."""
        verdicts = {health.service: health.verdict for health in stack.services}
        holding = await self._state.deployments.holding(environment.name)
        for alert in alerts:
            locked = holding is not None and holding.holds(alert.service)
            is_unhealthy = verdicts.get(alert.service) is Verdict.UNHEALTHY
            has_relapsed = is_unhealthy and alert.healing is RecoveryStatus.SUCCEEDED and self._has_relapsed(alert)
            if not is_unhealthy:
                self._relapsing.pop(alert.id, None)
            if is_unhealthy and not locked and (alert.healing is RecoveryStatus.DEFERRED or has_relapsed):
                self._relapsing.pop(alert.id, None)
                await self._alert_service.note(alert.id, healing=RecoveryStatus.NONE)
                self._alert_service.trigger_again(alert)

    def _has_relapsed(self, alert: Alert) -> bool:
        """Return whether a recovered service has been unhealthy again for so long that the recovery did not last."""
        return self._clock() - self._relapsing.setdefault(alert.id, self._clock()) >= RELAPSE_SECONDS

    def _service_reports(
        self,
        environment: Environment,
        health: ServiceHealth,
        alert: Alert | None,
        definitions: Definitions,
        observation: Observation,
    ) -> list[AlertReport]:
        place = (environment.name, health.service)
        if health.verdict is Verdict.UNHEALTHY:
            self._trouble[place] = self._clock()
            if alert is not None and not self._manual_stops.has_seen_end(*place):
                # What a bot before this one saw is in the journal: only what was stopped manually is not urgent.
                learn = self._manual_stops.mark_failed if alert.is_urgent else self._manual_stops.mark_stopped
                learn(*place)
            report = self._unhealthy_report(environment, health, definitions)
            return [] if alert is not None and _covers(alert, report) else [report]
        definition = definitions.get(health.service)
        if definition is not None and definition.stopped and not any(map(_runs, health.containers)):
            return [over(alert)] if alert is not None and _may_resolve(alert) else []
        # A look that began before an event shows nothing of what came after it.
        if observation.begun < self._trouble.get(place, float("-inf")) or not _serves(
            health, definitions.get(health.service)
        ):
            return []
        self._manual_stops.mark_serving(*place)
        if alert is None or not _may_resolve(alert):
            return []
        calm = self._clock() - self._trouble.get(place, float("-inf")) >= CALM_SECONDS
        return [over(alert)] if alert.count < FLAPS or calm else []

    def _unhealthy_report(
        self, environment: Environment, health: ServiceHealth, definitions: Definitions
    ) -> AlertReport:
        name, service = environment.name, health.service
        if self._manual_stops.seems_manual(name, health):
            return stopped(environment, health, was_seen=self._manual_stops.is_known_stop(name, service))
        return down(environment, service, reason_of(service, health.reason), definitions)

    async def _is_recovering(self, environment: Environment, service: str) -> bool:
        alerts = await self._state.alerts.open(environment.name)
        return any(alert.service == service and alert.healing is RecoveryStatus.UNDER_WAY for alert in alerts)


def _runs(container: ContainerSnapshot) -> bool:
    return container.state is ContainerState.RUNNING


def _is_touched(progress: ServiceProgress) -> bool:
    return progress.changed or progress.step not in UNTOUCHED_STEPS


def _may_resolve(alert: Alert) -> bool:
    """While it is being recovered, the end of the recovery decides."""
    return alert.healing is not RecoveryStatus.UNDER_WAY


def _covers(alert: Alert, report: AlertReport) -> bool:
    """Return whether an alert matches a report: a sample that changes nothing is not saved."""
    order = list(Severity)
    return order.index(alert.severity) <= order.index(report.severity)


def _serves(health: ServiceHealth, definition: ServiceDefinition | None) -> bool:
    """Return whether a service does its work again; that it has restarted of late is not counted against it.

    A verdict that holds lags behind what was just seen: containers that have ended do no work, whatever it says.
    """
    may_end = definition is not None and definition.ends_well
    if definition is not None and len(health.containers) < definition.replicas and not definition.one_shot:
        return False
    return health.verdict in SERVING and all(_works(container, may_end=may_end) for container in health.containers)


def _works(container: ContainerSnapshot, *, may_end: bool) -> bool:
    if may_end and container.state is ContainerState.EXITED:
        return container.exit_code == 0
    return container.state is ContainerState.RUNNING and container.health in {HealthStatus.NONE, HealthStatus.HEALTHY}
