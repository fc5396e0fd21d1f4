"""Describe a fault, and what is done about it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from roas.models.stored import StoredEnum


class FaultCategory(StrEnum):
    """What kind of fault it is; it decides where repair begins."""

    PROCESS = "process"  # it ended, was killed, or hangs: starting it again may help
    CONTAINER = "container"  # its container is gone or was changed: only the release can give it back
    ENGINE = "engine"  # the engine is unavailable: nothing can be done from here
    OUTSIDE = "outside"  # not a service of ours


class RecoveryAction(StoredEnum, unknown="escalate"):
    """What can be done, from the gentlest on; an unknown one counts as an escalation to a person."""

    RESTART = "restart"
    RECREATE = "recreate"
    ROLL_BACK = "roll_back"
    ESCALATE = "escalate"


class RecoveryOutcome(StrEnum):
    """How a recovery ended."""

    RECOVERED = "recovered"
    ESCALATED = "escalated"
    DEFERRED = "kept_away"  # a deployment owns the environment
    NOT_OURS = "not_ours"  # the fault is only visible from outside, or is a manual stop


@dataclass(frozen=True, slots=True)
class Fault:
    """Describe what is wrong with which service, and which alert reported it."""

    alert_id: str
    environment: str
    service: str
    category: FaultCategory
    message: str
    from_outside: bool = False
    correlation_id: str = ""


@dataclass(frozen=True, slots=True)
class RecoveryStep:
    """Record one attempt; it is written before it is made, and again with its end.

    `boot_id` and `boot_seconds` record its age by a clock that cannot be set. `result` says for people how it ended,
    `ended` whether it has.
    """

    id: str
    alert_id: str
    environment: str
    service: str
    action: RecoveryAction
    begun_at: datetime
    result: str = ""
    boot_id: str = ""
    boot_seconds: float = 0.0
    ended: bool | None = None


@dataclass(frozen=True, slots=True)
class RecoveryReport:
    """Record how a recovery ended, and a description of what was done."""

    fault: Fault
    outcome: RecoveryOutcome
    text: str

    @property
    def succeeded(self) -> bool:
        """Return whether the service is healthy again."""
        return self.outcome is RecoveryOutcome.RECOVERED
