"""Events for tests: one that only tests know, and the usual ones with what most tests do not care about."""

from dataclasses import dataclass
from typing import ClassVar

from roas.models.alert import AlertSource, AlertState, Severity
from roas.models.deployment import DeploymentKind, Outcome, PhaseStatus
from roas.models.events import (
    AlertEvent,
    AlertTriggered,
    DependenciesResolved,
    DeploymentEnded,
    DeploymentOrigin,
    Event,
    HealthCheckRequested,
    PhaseChanged,
)
from roas.models.phases import PhaseName

ORIGIN = DeploymentOrigin(deployment_id="DEPLOY-1", environment="dev", correlation_id="", source="test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Work(Event):
    """Stand for any event."""

    type: ClassVar[str] = "work"
    source: str = "test"
    number: int = 0


def ended(
    outcome: Outcome = Outcome.SUCCEEDED,
    *,
    kind: DeploymentKind = DeploymentKind.DEPLOY,
    seconds: float | None = None,
    abandoned: str = "",
) -> DeploymentEnded:
    """Say how a deployment of dev ended."""
    return DeploymentEnded(outcome=outcome, kind=kind, duration_seconds=seconds, abandoned=abandoned, **ORIGIN)


def phase(status: PhaseStatus, seconds: float | None = None, name: PhaseName = PhaseName.EXECUTION) -> PhaseChanged:
    """Say how far a phase has come."""
    return PhaseChanged(phase=name, status=status, duration_seconds=seconds, **ORIGIN)


def waited(service: str, seconds: float, allowed: float) -> DependenciesResolved:
    """Say how long a service waited for what it depends on."""
    return DependenciesResolved(service=service, duration_seconds=seconds, allowed_seconds=allowed, **ORIGIN)


def look(service: str = "") -> HealthCheckRequested:
    """Ask for a look at dev."""
    return HealthCheckRequested(environment="dev", service=service, source="test")


def alert(
    kind: type[AlertEvent] = AlertTriggered,
    *,
    alert_id: str = "ALR-1",
    severity: Severity = Severity.HIGH,
    state: AlertState = AlertState.FIRING,
    source: AlertSource = AlertSource.HEALTH,
) -> AlertEvent:
    """Say what happened to an alert on web."""
    return kind(
        alert_id=alert_id,
        fingerprint="web",
        alert_source=source,
        severity=severity,
        state=state,
        title="web is down",
        environment="dev",
        service="web",
        source="test",
    )
