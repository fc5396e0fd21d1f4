"""Describe what a service waits for before it starts."""

from dataclasses import dataclass
from enum import StrEnum

PROBE_TIMEOUT_SECONDS = 10.0
DEPENDENCY_TIMEOUT_SECONDS = 300.0


class DependencyKind(StrEnum):
    """How much a dependency matters: `required` must be ready, `optional` is waited for, `soft` is an order only."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    SOFT = "soft"


class DependencyCondition(StrEnum):
    """When a dependency counts as ready, as the Compose Specification names it."""

    STARTED = "service_started"
    HEALTHY = "service_healthy"
    COMPLETED = "service_completed_successfully"


@dataclass(frozen=True, slots=True)
class Dependency:
    """Define that `service` starts after `on`; `probe` is a URL, or None for the container's own health.

    `startup_delay_seconds` is the grace in which a failing probe does not count.
    """

    service: str
    on: str
    kind: DependencyKind = DependencyKind.REQUIRED
    condition: DependencyCondition = DependencyCondition.HEALTHY
    startup_delay_seconds: float = 0.0
    timeout_seconds: float = DEPENDENCY_TIMEOUT_SECONDS
    probe: str | None = None
    restart: bool = False
