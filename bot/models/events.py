"""Describe what happens within this process: one frozen dataclass for each kind of event.

`type` is the name under which logs, metrics and the journal know a kind; it never changes. No event holds a secret.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar, TypedDict

from roas.models.alert import AlertSource, AlertState, Severity
from roas.models.deployment import Deployment, DeploymentKind, Outcome, PhaseStatus, ServiceStep
from roas.models.health import Verdict
from roas.models.phases import PhaseName
from roas.models.recovery import RecoveryOutcome
from roas.models.rollout import Choice
from roas.models.stored import new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Describe that something happened; `source` is the part that says so."""

    type: ClassVar[str] = "event"
    source: str
    correlation_id: str = ""
    id: str = field(default_factory=lambda: new_id("EVT"))
    time: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentEvent(Event):
    """Describe something that a deployment did."""

    deployment_id: str
    environment: str


class DeploymentOrigin(TypedDict):
    """Name the deployment that an event is of, and the part that says so."""

    deployment_id: str
    environment: str
    correlation_id: str
    source: str


def origin(deployment: Deployment, source: str) -> DeploymentOrigin:
    """Return what every event of a deployment has; give it as `**origin(deployment, SOURCE)`."""
    return DeploymentOrigin(
        deployment_id=deployment.id,
        environment=deployment.environment,
        correlation_id=deployment.correlation_id,
        source=source,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentBegan(DeploymentEvent):
    """Say that a deployment holds its environment."""

    type: ClassVar[str] = "deployment.initialization.started"
    kind: DeploymentKind
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentValidated(DeploymentEvent):
    """Say which checks failed and which warned."""

    type: ClassVar[str] = "environment.validation.completed"
    passed: bool
    failures: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparationStarted(DeploymentEvent):
    """Say that a validated deployment goes on to prepare."""

    type: ClassVar[str] = "deployment.preparation.start"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseChanged(DeploymentEvent):
    """Say how far a phase has come."""

    type: ClassVar[str] = "deployment.phase.changed"
    phase: PhaseName
    status: PhaseStatus
    attempts: int = 0
    duration_seconds: float | None = None
    summary: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalChanged(DeploymentEvent):
    """Say that a plan's draft waits for an approval, or what became of that."""

    type: ClassVar[str] = "deployment.approval.changed"
    plan_id: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceProgressed(DeploymentEvent):
    """Say how far a service has come; `fraction` (0 to 1) is of the current step."""

    type: ClassVar[str] = "deployment.service.progressed"
    service: str
    step: ServiceStep
    detail: str = ""
    fraction: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStarted(DeploymentEvent):
    """Say that a container of a service was started."""

    type: ClassVar[str] = "deployment.service.started"
    service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DependenciesResolved(DeploymentEvent):
    """Say how long a service waited for what it depends on, and how long it was allowed to."""

    type: ClassVar[str] = "deployment.dependencies.resolved"
    service: str
    duration_seconds: float
    allowed_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseCreated(DeploymentEvent):
    """Say that a release was written."""

    type: ClassVar[str] = "release.created"
    release: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequested(DeploymentEvent):
    """Say who asked a deployment to stop at its next safe point."""

    type: ClassVar[str] = "deployment.cancel.requested"
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentPaused(DeploymentEvent):
    """Say that a deployment waits for a person, since too many new replicas of a service failed."""

    type: ClassVar[str] = "deployment.paused"
    service: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseDecided(DeploymentEvent):
    """Say what a person chose for a deployment that was paused."""

    type: ClassVar[str] = "deployment.pause.decided"
    choice: Choice
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentStoodStill(DeploymentEvent):
    """Say that nothing of a deployment has moved for longer than its phase may take; empty `phase`: between two."""

    type: ClassVar[str] = "deployment.stood_still"
    phase: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentEnded(DeploymentEvent):
    """Say how a deployment ended; `abandoned` says why nobody could finish it, and is empty where somebody did."""

    type: ClassVar[str] = "deployment.orchestration.completed"
    outcome: Outcome
    kind: DeploymentKind
    duration_seconds: float | None = None
    abandoned: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateChanged(Event):
    """Say that a version that a source offers has come further; `proposal` names the message that shows it."""

    type: ClassVar[str] = "candidate.changed"
    candidate_id: str
    proposal: str
    environment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringRequested(Event):
    """Ask that the environment of a service that was started be watched."""

    type: ClassVar[str] = "monitoring.service.start"
    environment: str
    service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheckRequested(Event):
    """Ask for a look at an environment, because of one service or of all."""

    type: ClassVar[str] = "monitoring.health_check.start"
    environment: str
    service: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthChecked(Event):
    """Say what a look that was asked for saw."""

    type: ClassVar[str] = "monitoring.health_check.completed"
    environment: str
    service: str
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceHealthChanged(Event):
    """Say that another verdict holds for a service."""

    type: ClassVar[str] = "monitoring.health.changed"
    environment: str
    service: str
    old: Verdict
    new: Verdict
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackHealthChanged(Event):
    """Say that another verdict holds for a whole stack."""

    type: ClassVar[str] = "monitoring.stack_health.changed"
    environment: str
    old: Verdict
    new: Verdict
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEvent(Event):
    """Describe something that happened to an alert."""

    alert_id: str
    fingerprint: str
    alert_source: AlertSource
    severity: Severity
    state: AlertState
    title: str
    environment: str = ""
    service: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertTriggered(AlertEvent):
    """Say that an alert needs action."""

    type: ClassVar[str] = "monitoring.alert.triggered"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChanged(AlertEvent):
    """Say that something about an alert changed that needs no new action."""

    type: ClassVar[str] = "monitoring.alert.changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertResolved(AlertEvent):
    """Say that an alert is over."""

    type: ClassVar[str] = "monitoring.alert.resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryRequested(Event):
    """Ask that the fault behind an alert be recovered from."""

    type: ClassVar[str] = "error.auto_handling.start"
    alert_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryCompleted(Event):
    """Say how a recovery ended."""

    type: ClassVar[str] = "error.recovery.completed"
    alert_id: str
    environment: str
    service: str
    succeeded: bool
    outcome: RecoveryOutcome
    summary: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationEvent(Event):
    """Describe how well the parts of the bot work together, by one figure; `occurrence` identifies one trouble."""

    figure: str
    title: str
    summary: str = ""
    suspect: str = ""
    occurrence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationDegraded(IntegrationEvent):
    """Say that a figure is beyond its limit."""

    type: ClassVar[str] = "integration.alert.triggered"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationRecovered(IntegrationEvent):
    """Say that a figure is within its limit."""

    type: ClassVar[str] = "integration.alert.cleared"
