"""Describe what the journal keeps of changes and of posts, and make identifiers."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar, Self

from ulid import ULID


def new_id(prefix: str) -> str:
    """Return a new id such as `DEPLOY-01JD…`: the prefix, then a ULID (48 bits of time, 80 random ones)."""
    return f"{prefix}-{ULID()}"


def moment_of(new: str) -> str:
    """Return the part of an id that sorts by time, whatever its prefix."""
    return new.rpartition("-")[2]


class StoredEnum(StrEnum):
    """A value that is stored; what a newer version wrote and this one does not know counts as the `unknown` one."""

    _unknown: ClassVar[str]

    def __init_subclass__(cls, *, unknown: str) -> None:
        super().__init_subclass__()
        cls._unknown = unknown

    @classmethod
    def _missing_(cls, _value: object) -> Self:
        return cls(cls._unknown)


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


@dataclass(frozen=True, slots=True)
class Post:
    """Remember one message: of what (`subject`), which kind of message, and how it last looked."""

    subject: str
    kind: str
    channel_id: int
    message_id: int | None = None
    content_hash: str = ""
    finished: bool = False


@dataclass(frozen=True, slots=True)
class WaitingAlert:
    """Name an alert that a target is told unless somebody acknowledges it in time, and when it fired."""

    alert_id: str
    since: datetime


@dataclass(frozen=True, slots=True)
class TargetPosition:
    """Remember up to which change a target was told, which alerts wait, and of which it is to be told the end."""

    sequence: int
    waiting: tuple[WaitingAlert, ...] = ()
    told: tuple[str, ...] = ()
