"""Describe an alert: one model for every source."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypedDict

from roas.models.actor import Actor
from roas.models.stored import StoredEnum


@dataclass(frozen=True, slots=True)
class Instant:
    """Name a moment by the wall's clock, and by the seconds since which boot of the machine."""

    at: datetime
    boot_id: str = ""
    boot_seconds: float = 0.0

    def since(self, earlier: "Instant") -> timedelta:
        """Return how much later this is; only where the machine booted in between, the wall's clock decides."""
        if self.boot_id and self.boot_id == earlier.boot_id:
            return timedelta(seconds=self.boot_seconds - earlier.boot_seconds)
        return self.at - earlier.at

    def after(self, duration: timedelta) -> "Instant":
        """Return the moment that comes so much later."""
        return Instant(self.at + duration, self.boot_id, self.boot_seconds + duration.total_seconds())


# What begins the fingerprint of an alert about drift.
DRIFT = "drift:"


class Severity(StoredEnum, unknown="high"):
    """How much an alert matters; critical and high ping a role.

    An unknown one counts as one that pings.
    """

    CRITICAL = "critical"
    HIGH = "high"
    WARNING = "warning"
    INFO = "info"


URGENT = frozenset({Severity.CRITICAL, Severity.HIGH})


class AlertState(StoredEnum, unknown="firing"):
    """What became of an alert; an unknown one counts as one that is not over."""

    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    SILENCED = "silenced"
    RESOLVED = "resolved"


class AlertSource(StoredEnum, unknown="alertmanager"):
    """The source of an alert. Alerts from outside start no recovery by themselves.

    An unknown one counts as an external one.
    """

    HEALTH = "health"
    INTEGRATION = "integration"
    ALERTMANAGER = "alertmanager"
    GRAFANA = "grafana"


OUTSIDE = frozenset({AlertSource.ALERTMANAGER, AlertSource.GRAFANA})


class RecoveryStatus(StoredEnum, unknown="given_up"):
    """State of the recovery that an alert started; `kept_away` waits for a deployment to end.

    An unknown one counts as one that cannot be resumed.
    """

    NONE = "none"
    UNDER_WAY = "under_way"
    DEFERRED = "kept_away"
    SUCCEEDED = "succeeded"
    GIVEN_UP = "given_up"


class AlertMarks(TypedDict, total=False):
    """Name what a note may set on an alert besides its text; what is left out stays as it is.

    With `healing`, `left_alone` says whether recovery leaves the alert as it is.
    """

    healing: RecoveryStatus | None
    escalated: bool | None
    left_alone: bool


@dataclass(frozen=True, slots=True)
class AlertReport:
    """Describe what a source sees right now: that something is wrong (`firing`), or that it no longer is.

    `fingerprint` is the same for the same fault. `occurrence` separates one occurrence of it from the next, where the
    source knows (the time at which it began), so that a repeated delivery is recognised; `ended` is when it was over.
    """

    fingerprint: str
    source: AlertSource
    severity: Severity
    title: str
    summary: str = ""
    environment: str = ""
    service: str = ""
    firing: bool = True
    occurrence: str = ""
    ended: str = ""
    correlation_id: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """Record one alert. `actions` describe what was done about it, oldest first.

    `version` counts its changes; `group` is the message that shows it together with others, where there is one.
    `called` says that the message that shows it pinged a role when it was posted, and `called_with` names the message
    that pings about it together with others.
    `relapsed_at` is when it last fired again so long after it had pinged that it pings once more.
    `silence_ends` and `resolved` are `silenced_until` and `resolved_at` by the boot's clock too. `left_alone` says that
    recovery looked at it and left it as it is.
    """

    id: str
    fingerprint: str
    source: AlertSource
    severity: Severity
    title: str
    started_at: datetime
    updated_at: datetime
    summary: str = ""
    environment: str = ""
    service: str = ""
    state: AlertState = AlertState.FIRING
    occurrence: str = ""
    correlation_id: str = ""
    count: int = 1
    healing: RecoveryStatus = RecoveryStatus.NONE
    actions: tuple[str, ...] = ()
    acknowledged_by: Actor | None = None
    silenced_by: Actor | None = None
    silenced_until: datetime | None = None
    resolved_at: datetime | None = None
    silence_ends: Instant | None = None
    resolved: Instant | None = None
    escalated: bool = False
    escalated_at: datetime | None = None
    relapsed_at: datetime | None = None
    group: str = ""
    called: bool = True
    called_with: str = ""
    version: int = 1
    left_alone: bool | None = None

    @property
    def is_of_engine(self) -> bool:
        """Return whether an environment's engine is away: nothing that needs it helps."""
        return self.source is AlertSource.HEALTH and bool(self.environment) and not self.service

    @property
    def is_of_drift(self) -> bool:
        """Return whether what runs is not what the release has: that can be restored."""
        return self.fingerprint.startswith(DRIFT)

    @property
    def is_open(self) -> bool:
        """Return whether the trouble is still there, as far as is known."""
        return self.state is not AlertState.RESOLVED

    @property
    def is_urgent(self) -> bool:
        """Return whether its severity is one that pings a role."""
        return self.severity in URGENT

    @property
    def pings_at_first(self) -> bool:
        """Return whether the message that shows it first pings a role: it is urgent, and nobody has silenced it."""
        return self.is_urgent and self.state is not AlertState.SILENCED

    @property
    def pings_again(self) -> bool:
        """Return whether it came back, and is to ping about that: people were told that it is over."""
        return self.is_urgent and self.called and self.relapsed_at is not None

    @property
    def is_audible(self) -> bool:
        """Return whether it may ping a role now: it is neither over nor silenced."""
        return self.state in {AlertState.FIRING, AlertState.ACKNOWLEDGED}
