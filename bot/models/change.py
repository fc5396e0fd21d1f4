"""Describe one change of state, as the journal keeps it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from roas.models.identifiers import new_id


class ChangeType(StrEnum):
    """What kind of thing changed."""

    SERVICE_STARTED = "service_started"
    SERVICE_STOPPED = "service_stopped"
    SERVICE_HEALTH_CHANGED = "service_health_changed"
    DEPLOYMENT_PHASE_CHANGED = "deployment_phase_changed"
    ERROR_OCCURRED = "error_occurred"
    ALERT_TRIGGERED = "alert_triggered"
    DEPLOYMENT_STARTED = "deployment_started"
    DEPLOYMENT_FINISHED = "deployment_finished"
    SERVICE_PROGRESSED = "service_progressed"
    RELEASE_CREATED = "release_created"
    RELEASE_ACTIVATED = "release_activated"
    LOCK_CHANGED = "lock_changed"
    AUDIT = "audit"

    @classmethod
    def _missing_(cls, value: object) -> "ChangeType":
        """Read an unknown change of a newer version as one for display only."""
        return cls.AUDIT


@dataclass(frozen=True, slots=True)
class StateChange:
    """Record what changed, from what to what, when and by whom; values are plain JSON and hold no secret."""

    type: ChangeType
    source: str
    environment: str = ""
    subject: str = ""
    old: Any = None
    new: Any = None
    metadata: dict[str, Any] = field(default_factory=dict)
    correlation_id: str = ""
    id: str = field(default_factory=lambda: new_id("CHG"))
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
