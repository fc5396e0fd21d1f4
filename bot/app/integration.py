"""Tie the parts together by events: each module learns of what the others do, and none knows another."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from roas.alerts.alert_service import AlertService
from roas.events import EventBus, Subscription
from roas.health.collector import MonitoringCollector
from roas.messages.message import said
from roas.metrics.integration_monitor import SUCCESS_RATE
from roas.models import events
from roas.models.alert import URGENT, AlertReport, AlertSource, Severity
from roas.models.deployment import SAVES, DeploymentKind, Outcome
from roas.models.environment import Environment
from roas.models.state_change import ChangeType, StateChange
from roas.state.deployments.plans_and_drafts import KIND_OF_DRAFT
from roas.state.manager import StateManager

SOURCE = "integration"
Kind = TypeVar("Kind", bound=events.Event)


class IntegrationCoordinator:
    """Observe what the modules do and let each learn of the others; it starts no phase a second time."""

    def __init__(
        self, state: StateManager, bus: EventBus, collector: MonitoringCollector, alert_service: AlertService
    ) -> None:
        self._state = state
        self._alert_service = alert_service
        self._bus = bus
        self._collector = collector
        self._environments: Mapping[str, Environment] = {}
        self._subscriptions: list[Subscription] = []
        self._unsubscribe: Callable[[], None] = lambda: None

    def start(self, environments: Mapping[str, Environment]) -> None:
        """Subscribe to what is to be tied together."""
        self._environments = environments
        self._unsubscribe = self._state.subscribe(self._committed)
        self._consume(events.DeploymentBegan, self._deployment_begins)
        self._consume(events.EnvironmentValidated, self._validated)
        self._consume(events.PreparationStarted, self._preparation_starts)
        self._consume(events.ServiceStarted, self._service_started)
        self._consume(events.DeploymentStoodStill, self._deployment_stands_still)
        self._consume(events.DeploymentEnded, self._deployment_ended)
        self._consume(events.AlertTriggered, self._alert_triggered)
        self._consume(events.RecoveryCompleted, self._recovery_completed)
        self._consume(events.HealthChecked, self._health_checked)
        self._consume(events.IntegrationDegraded, self._integration_alert)
        self._consume(events.IntegrationRecovered, self._integration_alert)

    def _consume(self, kind: type[Kind], consumer: Callable[[Kind], Awaitable[None]]) -> None:
        self._subscriptions.append(self._bus.subscribe(kind, consumer, name=f"integration: {kind.type}"))

    async def close(self) -> None:
        """End every subscription."""
        self._unsubscribe()
        while self._subscriptions:
            await self._bus.unsubscribe(self._subscriptions.pop())

    def _committed(self, change: StateChange) -> None:
        """Publish that a draft ended since its plan did: nobody approved it in time, or somebody withdrew it."""
        if change.type is ChangeType.DEPLOYMENT_FINISHED and KIND_OF_DRAFT in change.metadata:
            self._bus.publish(
                events.DeploymentEnded(
                    outcome=Outcome.CANCELLED,
                    kind=DeploymentKind(str(change.metadata[KIND_OF_DRAFT])),
                    duration_seconds=change.metadata.get("seconds"),
                    deployment_id=change.subject,
                    environment=change.environment or "",
                    correlation_id=change.correlation_id,
                    source=SOURCE,
                )
            )

    async def _deployment_begins(self, event: events.DeploymentBegan) -> None:
        """Write into the audit what began."""
        await self._audit(event, "deployment begins", kind=event.kind, version=event.version)

    async def _validated(self, event: events.EnvironmentValidated) -> None:
        """Write what the checks found; what passed leads on to preparation."""
        facts = {"passed": event.passed, "failures": event.failures, "warnings": event.warnings}
        await self._audit(event, "environment validated", **facts)
        if event.passed:
            self._bus.publish(
                events.PreparationStarted(
                    deployment_id=event.deployment_id,
                    environment=event.environment,
                    source=SOURCE,
                    correlation_id=event.correlation_id,
                )
            )

    async def _preparation_starts(self, event: events.PreparationStarted) -> None:
        """Watch the environment from before its first change, so that what the deployment does to it is seen."""
        environment = self._environments.get(event.environment)
        if environment is not None:
            self._collector.watch(environment)

    async def _service_started(self, event: events.ServiceStarted) -> None:
        """Write that a service runs, and let it be monitored."""
        await self._record(event, ChangeType.SERVICE_STARTED, event.environment, event.service, new="started")
        self._bus.publish(
            events.MonitoringRequested(
                environment=event.environment,
                service=event.service,
                source=SOURCE,
                correlation_id=event.correlation_id,
            )
        )

    async def _deployment_stands_still(self, event: events.DeploymentStoodStill) -> None:
        """Raise an alert, which ends with the deployment."""
        phase = said("its phase {phase}", phase=event.phase) if event.phase else said("the moment between two phases")
        summary = said(
            "Nothing of it has moved for {seconds} s, longer than {phase} may take. Restart the bot, which resumes it.",
            seconds=f"{event.seconds:.0f}",
            phase=phase,
        )
        await self._alert_service.take([_standstill(event, summary, firing=True)])

    async def _deployment_ended(self, event: events.DeploymentEnded) -> None:
        """Write the outcome to the audit log; a deployment that nobody could finish raises an alert."""
        facts = {"outcome": event.outcome, "kind": event.kind, "duration_seconds": event.duration_seconds}
        await self._audit(event, "deployment ended", **facts)
        # Backups on schedule have an alert of their own, and change nothing of what needs an operator.
        abandoned = [] if event.deployment_id.startswith(SAVES) else [_abandoned(event)]
        await self._alert_service.take([*abandoned, _standstill(event, "", firing=False)])
        self._request_check(event, event.environment)

    async def _alert_triggered(self, event: events.AlertTriggered) -> None:
        """Start recovery for urgent alerts at once; the alerts are in the journal already."""
        if event.severity in URGENT:
            wanted = events.RecoveryRequested(
                alert_id=event.alert_id, source=SOURCE, correlation_id=event.correlation_id
            )
            await self._record_step(event, wanted.type, severity=event.severity)
            self._bus.publish(wanted)

    async def _recovery_completed(self, event: events.RecoveryCompleted) -> None:
        """Write how recovery ended; a service that is said to be healthy is checked."""
        await self._record_step(
            event,
            said("recovery {outcome}: {summary}", outcome=event.outcome, summary=event.summary),
            outcome=event.outcome,
        )
        if event.succeeded:
            await self._record_step(event, events.HealthCheckRequested.type, outcome=event.outcome)
            self._request_check(event, event.environment, event.service)

    async def _health_checked(self, event: events.HealthChecked) -> None:
        """Write what a look after a recovery saw."""
        if event.service:
            new = f"health check: {event.verdict}"
            await self._record(event, ChangeType.ERROR_OCCURRED, event.environment, event.service, new=new)

    async def _integration_alert(self, event: events.IntegrationEvent) -> None:
        """Raise an alert when the bot's own integration degrades, and resolve it when that is over."""
        report = AlertReport(
            fingerprint=f"integration:{event.figure}",
            source=AlertSource.INTEGRATION,
            severity=Severity.WARNING if event.figure == SUCCESS_RATE.name else Severity.HIGH,
            title=event.title,
            summary=event.summary,
            firing=isinstance(event, events.IntegrationDegraded),
            occurrence=event.occurrence,
            correlation_id=event.correlation_id,
        )
        await self._alert_service.take([report])

    def _request_check(self, event: events.Event, environment: str, service: str = "") -> None:
        self._bus.publish(
            events.HealthCheckRequested(
                environment=environment, service=service, source=SOURCE, correlation_id=event.correlation_id
            )
        )

    async def _record_step(
        self, event: events.AlertTriggered | events.RecoveryCompleted, text: str, **facts: object
    ) -> None:
        """Write a step of dealing with an alert under the service that it is about."""
        known = {"alert_id": event.alert_id, **facts}
        await self._record(event, ChangeType.ERROR_OCCURRED, event.environment, event.service, new=text, **known)

    async def _audit(self, event: events.DeploymentEvent, text: str, **facts: object) -> None:
        await self._record(event, ChangeType.AUDIT, event.environment, event.deployment_id, new=text, **facts)

    async def _record(
        self, event: events.Event, change_type: ChangeType, environment: str, subject: str, *, new: str, **facts: object
    ) -> None:
        deployment = event.deployment_id if isinstance(event, events.DeploymentEvent) else None
        metadata = {"event": event.type, "deployment": deployment, **facts}
        change = StateChange(
            change_type, SOURCE, environment, subject, new=new, metadata=metadata, correlation_id=event.correlation_id
        )
        await self._state.record(change)


def _standstill(event: events.DeploymentEvent, summary: str, *, firing: bool) -> AlertReport:
    """Report that a deployment stands still, or that it does not any more."""
    return AlertReport(
        fingerprint=f"standstill:{event.environment}",
        source=AlertSource.INTEGRATION,
        severity=Severity.CRITICAL,
        title=said("{deployment} makes no progress", deployment=event.deployment_id),
        summary=summary,
        environment=event.environment,
        firing=firing,
        correlation_id=event.correlation_id,
    )


def _abandoned(event: events.DeploymentEnded) -> AlertReport:
    """Report that a deployment was given up after its process had died repeatedly, or that this is over."""
    return AlertReport(
        fingerprint=f"abandoned:{event.environment}",
        source=AlertSource.INTEGRATION,
        severity=Severity.CRITICAL,
        title=said(
            "{deployment} was given up: {environment} needs an operator",
            deployment=event.deployment_id,
            environment=event.environment,
        ),
        summary=event.abandoned,
        environment=event.environment,
        firing=bool(event.abandoned),
        correlation_id=event.correlation_id,
    )
