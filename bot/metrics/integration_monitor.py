"""Watch how well the parts work together, and say once when they do not, and once when they do again."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from roas.events import REMEMBERED_SECONDS, EventBus, Subscription
from roas.log import get_logger
from roas.messages.message import joined, number, said
from roas.models.actor import RECOVERY
from roas.models.deployment import Deployment, DeploymentKind, Outcome
from roas.models.events import (
    DependenciesResolved,
    DeploymentEnded,
    IntegrationDegraded,
    IntegrationEvent,
    IntegrationRecovered,
)
from roas.models.stack import DEPENDENCY_TIMEOUT_SECONDS
from roas.models.stored import new_id
from roas.rounds import Rounds
from roas.state.deployments.figures import DeliveryFigures
from roas.state.manager import StateManager
from roas.state.redis_sync import DataSyncManager

log = get_logger(__name__)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# More than these are read of no day.
DEPLOYMENTS_READ = 200
# Of fewer in a day, no share is told.
FEWEST_DEPLOYMENTS = 5


class DeploymentFigures:
    """Keep what the journal said last: `counts` by environment, kind and outcome, and the deployments of a day.

    The last ones, `last` at most and `fewest` at least, make the success rate.
    """

    def __init__(
        self,
        state: StateManager,
        environments: Iterable[str] = (),
        *,
        last: int = 20,
        fewest: int = FEWEST_DEPLOYMENTS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._state = state
        self.environments = tuple(environments)
        self._last = last
        self._fewest = fewest
        self._now = now
        self.counts: Mapping[tuple[str, str, str], int] = {}
        self._recent: tuple[Deployment, ...] = ()
        self.delivery: tuple[DeliveryFigures, ...] = ()

    async def refresh(self, _event: object = None) -> None:
        """Read the journal again. Raises StateError."""
        deployments = self._state.deployments
        self.counts = await deployments.counts()
        since, found = self._now() - HOUR, list[Deployment]()
        for deployment in await deployments.list(limit=DEPLOYMENTS_READ, whole=False, with_saves=False):
            is_late = (
                deployment.ended_at is not None and deployment.ended_at >= since
            )  # only of these the phases are shown
            whole = await deployments.get(deployment.id) if is_late else None
            found.append(whole or deployment)
        self._recent = tuple(found)
        records, now = self._state.records, self._now()
        self.delivery = tuple([await records.delivery(name, now=now) for name in self.environments])

    @property
    def success_ratio(self) -> float | None:
        """Return the share of the last deployments of a day that were good; None of too few."""
        found = [good for _environment, good in self.results()][-self._last :]
        return sum(found) / len(found) if len(found) >= self._fewest else None

    def ended_within(self, time: timedelta) -> list[Deployment]:
        """Return the deployments that ended within a time, the newest first."""
        since = self._now() - time
        return [
            deployment
            for deployment in self._recent
            if deployment.ended_at is not None and deployment.ended_at >= since
        ]

    def results(self) -> list[tuple[str, bool]]:
        """Return the environment of each deployment of a day, and whether it was good; the oldest first.

        What recovery took back was not. A rollback that somebody asked for, and that worked, is no result of its own,
        nor is what one of many hosts did of a deployment.
        """
        found: list[tuple[Deployment, bool]] = []
        for deployment in reversed(self.ended_within(DAY)):
            is_rollback = deployment.request.kind is DeploymentKind.ROLLBACK
            request = deployment.request
            if deployment.outcome is Outcome.CANCELLED or request.operation is not None or request.part_of:
                continue
            if is_rollback and deployment.request.requested_by.id == RECOVERY:
                found = [(each, good and not _took_back(deployment, each)) for each, good in found]
            if not is_rollback or deployment.outcome is not Outcome.SUCCEEDED:
                found.append((deployment, deployment.outcome is Outcome.SUCCEEDED))
        return [(deployment.environment, good) for deployment, good in found]


def _took_back(rollback: Deployment, deployment: Deployment) -> bool:
    """Return whether a rollback left the release to which a deployment had led; one to itself undid a hand's change."""
    if rollback.from_release == rollback.to_release:
        return False
    return (deployment.environment, deployment.to_release) == (rollback.environment, rollback.from_release)


PERCENTILE = 0.95
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class FigureWindows:
    """Set how many seconds each figure looks back, and how many samples a ratio needs.

    What begins in the first `settling_seconds` of a leader is no measure of latency and lag: all of it begins at once.
    """

    event_latency_seconds: float = 60.0
    sync_lag_seconds: float = 60.0
    dependency_seconds: float = 900.0
    error_seconds: float = REMEMBERED_SECONDS
    fewest_handlings: int = 20
    settling_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class IntegrationFigures:
    """Hold the five figures: seconds and ratios; None where there is no measurement."""

    event_latency_seconds: float | None = None
    slowest_subscriber: str = ""
    state_sync_lag_seconds: float | None = None
    dependency_resolution_seconds: float | None = None
    dependency_share: float | None = None
    waiting_service: str = ""
    error_ratio: float | None = None
    failing_subscriber: str = ""
    success_ratio: float | None = None
    has_redis: bool = True


@dataclass(frozen=True, slots=True)
class _Resolution:
    """Hold how long a service waited for its dependencies, and which share of the time it was allowed that is."""

    at: float
    service: str
    seconds: float
    share: float


@dataclass(slots=True)
class IntegrationMeasurements:
    """Gather what the figures are made of; all times are monotonic."""

    bus: EventBus
    projection: DataSyncManager | None = None
    windows: FigureWindows = field(default_factory=FigureWindows)
    clock: Clock = time.monotonic
    deployments: DeploymentFigures | None = None
    _resolutions: list[_Resolution] = field(default_factory=list)
    _counts_from: float = float("-inf")

    def begin(self) -> None:
        """Measure latency and lag of what begins from now on, a moment later."""
        self._counts_from = self.clock() + self.windows.settling_seconds

    def subscribe(self) -> tuple[Subscription, ...]:
        """Begin to listen."""
        found = [self.bus.subscribe(DependenciesResolved, self._resolved, name="integration dependencies")]
        if self.deployments is not None:
            found.append(self.bus.subscribe(DeploymentEnded, self.deployments.refresh, name="integration deployments"))
        return tuple(found)

    def figures(self) -> IntegrationFigures:
        """Return the figures as they are now."""
        latencies = self._latencies()
        slowest = max(latencies, key=lambda name: latencies[name], default="")
        ratio, failing = self._errors()
        share, waiting = self._longest_wait()
        return IntegrationFigures(
            event_latency_seconds=latencies.get(slowest),
            slowest_subscriber=slowest,
            state_sync_lag_seconds=self._sync_lag(),
            dependency_resolution_seconds=percentile([resolution.seconds for resolution in self._recent_resolutions()]),
            dependency_share=share,
            waiting_service=waiting,
            error_ratio=ratio,
            failing_subscriber=failing,
            success_ratio=None if self.deployments is None else self.deployments.success_ratio,
            has_redis=self.projection is not None,
        )

    async def _resolved(self, event: DependenciesResolved) -> None:
        service, seconds = f"{event.environment}/{event.service}", event.duration_seconds
        allowed = event.allowed_seconds or DEPENDENCY_TIMEOUT_SECONDS
        self._resolutions = [
            *self._recent_resolutions(),
            _Resolution(self.clock(), service, seconds, seconds / allowed),
        ]

    def _latencies(self) -> Mapping[str, float]:
        """Return per subscriber the 95th percentile of event latency, or how long an event has been waiting by now.

        A subscriber that handled nothing lately, and has nothing to handle, is left out.
        """
        since = self.clock() - self.windows.event_latency_seconds
        found: dict[str, float] = {}
        for subscription in self.bus.subscriptions:
            recent = [
                handling.seconds
                for handling in subscription.handled_since(since)
                if self._counts(handling.ended, handling.seconds)
            ]
            waiting = self._counted(subscription.waiting_seconds)
            if recent or waiting:
                found[subscription.name] = max(found.get(subscription.name, 0.0), percentile(recent) or 0.0, waiting)
        return found

    def _counts(self, ended: float, seconds: float) -> bool:
        """Return whether something that took so long began after the first moment."""
        return ended - seconds >= self._counts_from

    def _counted(self, seconds: float) -> float:
        """Return how much of a time that goes on came after the first moment."""
        return max(0.0, min(seconds, self.clock() - self._counts_from))

    def _sync_lag(self) -> float | None:
        if self.projection is None:
            return None
        since = self.clock() - self.windows.sync_lag_seconds
        recent = [
            lag.seconds for lag in self.projection.recent if lag.at >= since and self._counts(lag.at, lag.seconds)
        ]
        lag = self._counted(self.projection.lag_seconds)
        return max(percentile(recent) or 0.0, lag) if recent or lag else None

    def _recent_resolutions(self) -> list[_Resolution]:
        since = self.clock() - self.windows.dependency_seconds
        return [resolution for resolution in self._resolutions if resolution.at >= since]

    def _longest_wait(self) -> tuple[float | None, str]:
        """Return the largest share of its time that a service needed the last time that it waited, and which."""
        latest = {resolution.service: resolution.share for resolution in self._recent_resolutions()}
        longest = max(latest, key=lambda name: latest[name], default="")
        return latest.get(longest), longest

    def _errors(self) -> tuple[float | None, str]:
        """Return the share of failed handlings, and who failed most."""
        since = self.clock() - self.windows.error_seconds
        total = 0
        failures: dict[str, int] = {}
        for subscription in self.bus.subscriptions:
            recent = [*subscription.handled_since(since)]
            total += len(recent)
            failures[subscription.name] = failures.get(subscription.name, 0) + sum(
                handling.failed for handling in recent
            )
        failed = sum(failures.values())
        if total < self.windows.fewest_handlings:
            return None, ""
        return failed / total, max(failures, key=lambda name: failures[name]) if failed else ""


def percentile(values: Iterable[float], share: float = PERCENTILE) -> float | None:
    """Return the smallest value that so large a share of all does not exceed; None of nothing."""
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None


SOURCE = "integration_monitor"
CHECK_SECONDS = 0.5
# The alert store may have been unavailable: firing alerts, and for a while resolved ones, are reported again.
REPUBLISH_SECONDS = 30.0
REPUBLISH_FOR_SECONDS = 600.0


@dataclass(slots=True)
class _Publication:
    """Remember what was reported about a figure: since when, when last, and with which text."""

    since: float
    last: float
    event: IntegrationEvent


# What is less is not told from nothing.
SMALLEST = 0.1


@dataclass(frozen=True, slots=True)
class Limit:
    """Set when a figure is bad, in the unit that people read; `low` where too little is bad.

    The `advice` says what it means, and where to look.
    """

    name: str
    title: str
    threshold: float
    unit: str
    advice: str
    low: bool = False

    def is_broken(self, value: float) -> bool:
        """Return whether a value is beyond the limit."""
        return value < self.threshold if self.low else value > self.threshold

    def write(self, value: float) -> str:
        """Return a value with its unit, for people."""
        if 0 < value < SMALLEST:
            return said("under {smallest} {unit}", smallest=SMALLEST, unit=self.unit)
        return f"{number(value, 0 if value >= 100 else 1)} {self.unit}"

    def describe(self, value: float, suspect: str) -> str:
        """Return the value, the limit, who is behind it, and where to look, for people."""
        return joined(" ", (self._compare(value, suspect), self.advice))

    def _compare(self, value: float, suspect: str) -> str:
        shown, allowed = self.write(value), self.write(self.threshold)
        if self.low:
            return said("It is {shown}; it should be at least {allowed}.", shown=shown, allowed=allowed)
        if suspect:
            return said(
                "It is {shown}; it should be at most {allowed}. The worst is {suspect}.",
                shown=shown,
                allowed=allowed,
                suspect=suspect,
            )
        return said("It is {shown}; it should be at most {allowed}.", shown=shown, allowed=allowed)


EVENT_LATENCY = Limit(
    "event_latency",
    said("Event latency"),
    1000.0,
    "ms",
    said("A part of the bot handles events late: its host is busy, or its disk or network is slow."),
)
STATE_SYNC_LAG = Limit(
    "state_sync_lag", said("Redis sync lag"), 500.0, "ms", said("Redis is away or slow; the journal has everything.")
)
WAITING = Limit(
    "dependency_resolution",
    said("Dependency resolution time"),
    80.0,
    "%",
    said("It nearly ran out of time while it waited for what it needs."),
)
ERROR_RATE = Limit(
    "integration_error_rate", said("Integration error rate"), 5.0, "%", said("The bot's log has the errors.")
)
SUCCESS_RATE = Limit(
    "coordination_success_rate",
    said("Deployment success rate"),
    95.0,
    "%",
    said("It is about what was deployed, not about the bot: `/history` shows which failed."),
    low=True,
)
LIMITS = (EVENT_LATENCY, STATE_SYNC_LAG, WAITING, ERROR_RATE, SUCCESS_RATE)


class IntegrationMonitor:
    """Compare the figures with their limits, twice a second, for as long as it runs."""

    def __init__(self, bus: EventBus, measurements: IntegrationMeasurements) -> None:
        self._bus = bus
        self._measurements = measurements
        self._firing: set[str] = set()
        self._published: dict[str, _Publication] = {}
        self._subscriptions: tuple[Subscription, ...] = ()
        self._rounds = Rounds("integration monitor", self._run_round, CHECK_SECONDS)

    def listen(self) -> None:
        """Begin to measure."""
        self._subscriptions = self._measurements.subscribe()

    async def start(self) -> None:
        """Begin to raise alerts; of those that an earlier process left open, what does not hold is cleared."""
        if self._rounds.is_running:
            return
        self._firing.clear()
        self._published.clear()
        self._measurements.begin()
        for limit, value, _ in values_of(self.figures()):
            if value is None or not limit.is_broken(value):
                self._publish(limit, None, "", firing=False)
        self._rounds.start()

    async def stop(self) -> None:
        """Stop raising alerts; measuring continues."""
        await self._rounds.stop()

    async def close(self) -> None:
        """End it all."""
        await self.stop()
        for subscription in self._subscriptions:
            await self._bus.unsubscribe(subscription)

    @property
    def firing(self) -> frozenset[str]:
        """Return the names of the alerts that fire."""
        return frozenset(self._firing)

    def figures(self) -> IntegrationFigures:
        """Return the figures as they are now."""
        return self._measurements.figures()

    async def _run_round(self) -> None:
        self.check()

    def check(self) -> None:
        """Compare every figure with its limit, and notify the bus what changed."""
        figures = self.figures()
        for limit, value, suspect in values_of(figures):
            broken = value is not None and limit.is_broken(value)
            if broken == (limit.name in self._firing):
                continue
            self._firing ^= {limit.name}
            self._log(limit, value, suspect, firing=broken)
            self._publish(limit, value, suspect, firing=broken)
        self._publish_again()

    def _publish(self, limit: Limit, value: float | None, suspect: str, *, firing: bool) -> None:
        event = (IntegrationDegraded if firing else IntegrationRecovered)(
            figure=limit.name,
            title=limit.title,
            summary="" if value is None else limit.describe(value, suspect),
            suspect=suspect,
            occurrence=new_id("OCC"),
            source=SOURCE,
        )
        now = self._measurements.clock()
        self._published[limit.name] = _Publication(now, now, event)
        self._bus.publish(event)

    def _publish_again(self) -> None:
        """Report again what fires, and the end of what fired lately; duplicates are recognised by the occurrence."""
        now = self._measurements.clock()
        for publication in self._published.values():
            is_over = isinstance(publication.event, IntegrationRecovered)
            stale = is_over and now - publication.since > REPUBLISH_FOR_SECONDS
            if not stale and now - publication.last >= REPUBLISH_SECONDS:
                publication.last = now
                self._bus.publish(replace(publication.event, id=new_id("EVT"), time=datetime.now(UTC)))

    def _log(self, limit: Limit, value: float | None, suspect: str, *, firing: bool) -> None:
        facts = {"figure": limit.name, "value": value, "limit": limit.threshold, "unit": limit.unit}
        if firing:
            log.warning("integration degraded", suspect=suspect, **facts)
        else:
            log.info("integration recovered", **facts)


def values_of(figures: IntegrationFigures) -> tuple[tuple[Limit, float | None, str], ...]:
    """Return each limit with its figure, in the limit's unit, and who is behind it."""
    return (
        (EVENT_LATENCY, _times(1000, figures.event_latency_seconds), figures.slowest_subscriber),
        (STATE_SYNC_LAG, _times(1000, figures.state_sync_lag_seconds), "redis"),
        (WAITING, _times(100, figures.dependency_share), figures.waiting_service),
        (ERROR_RATE, _times(100, figures.error_ratio), figures.failing_subscriber),
        (SUCCESS_RATE, _times(100, figures.success_ratio), ""),
    )


def _times(factor: float, value: float | None) -> float | None:
    return None if value is None else value * factor
