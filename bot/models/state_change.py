"""Describe what the journal keeps of each change."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from roas.models.stored import StoredEnum, new_id


class ChangeType(StoredEnum, unknown="audit"):
    """What kind of thing changed; an unknown one counts as one for display only."""

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
