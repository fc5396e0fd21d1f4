"""Measure how well the parts work together, from what really happens: events, projection, dependencies, deployments."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Reversible
from dataclasses import dataclass, field
from typing import Protocol

from roas.events import REMEMBERED_SECONDS, EventBus, Subscription
from roas.models.dependency import DEPENDENCY_TIMEOUT_SECONDS
from roas.models.events import DependenciesResolved, DeploymentEnded
from roas.monitoring.metrics.deployment_figures import DeploymentFigures

PERCENTILE = 0.95
REMEMBERED_RESOLUTIONS = 200
Clock = Callable[[], float]


class Lag(Protocol):
    """Describe when a change reached Redis (monotonic), and how long after its commit."""

    @property
    def at(self) -> float:
        """Return the time of arrival."""
        ...

    @property
    def seconds(self) -> float:
        """Return how long it took."""
        ...


class Projection(Protocol):
    """Report how far the projection of the journal lags behind."""

    @property
    def lag_seconds(self) -> float:
        """Return how long the copy has been lagging."""
        ...

    @property
    def recent(self) -> Reversible[Lag]:
        """Return the lags of the last changes."""
        ...


@dataclass(frozen=True, slots=True)
class Windows:
    """Set how many seconds each figure looks back, and how many samples a ratio needs."""

    event_latency_seconds: float = 60.0
    sync_lag_seconds: float = 60.0
    dependency_seconds: float = 900.0
    error_seconds: float = REMEMBERED_SECONDS
    fewest_handlings: int = 20


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
    projection: Projection | None = None
    windows: Windows = field(default_factory=Windows)
    clock: Clock = time.monotonic
    deployments: DeploymentFigures | None = None
    _resolutions: deque[_Resolution] = field(default_factory=lambda: deque(maxlen=REMEMBERED_RESOLUTIONS))

    def subscribe(self) -> tuple[Subscription, ...]:
        """Begin to listen."""
        found = [self.bus.subscribe(DependenciesResolved, self._resolved, name="integration dependencies")]
        if self.deployments is not None:
            found.append(self.bus.subscribe(DeploymentEnded, self.deployments.refresh, name="integration deployments"))
        return tuple(found)

    @property
    def mark(self) -> object:
        """Return what stays the same while no figure can become worse; None while one can at any moment."""
        if self.projection is None:
            return self.bus.handled if self.bus.at_rest else None
        if self.projection.lag_seconds or not self.bus.at_rest:
            return None
        return self.bus.handled, next(reversed(self.projection.recent), None)

    @property
    def only_by_events(self) -> bool:
        """Return whether figures become worse by events alone; Redis falls behind without one."""
        return self.projection is None

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
            dependency_resolution_seconds=percentile([one.seconds for one in self._recent_resolutions()]),
            dependency_share=share,
            waiting_service=waiting,
            error_ratio=ratio,
            failing_subscriber=failing,
            success_ratio=None if self.deployments is None else self.deployments.success_ratio,
        )

    async def _resolved(self, event: DependenciesResolved) -> None:
        service, seconds = f"{event.environment}/{event.service}", event.duration_seconds
        allowed = event.allowed_seconds or DEPENDENCY_TIMEOUT_SECONDS
        self._resolutions.append(_Resolution(self.clock(), service, seconds, seconds / allowed))

    def _latencies(self) -> Mapping[str, float]:
        """Return per subscriber the 95th percentile of event latency, or how long an event has been waiting by now.

        A subscriber that handled nothing lately, and has nothing to handle, is left out.
        """
        since = self.clock() - self.windows.event_latency_seconds
        found: dict[str, float] = {}
        for one in self.bus.subscriptions:
            recent = [handling.seconds for handling in one.handled_since(since)]
            if recent or one.waiting_seconds:
                found[one.name] = max(found.get(one.name, 0.0), percentile(recent) or 0.0, one.waiting_seconds)
        return found

    def _sync_lag(self) -> float | None:
        if self.projection is None:
            return None
        since = self.clock() - self.windows.sync_lag_seconds
        recent = [lag.seconds for lag in self.projection.recent if lag.at >= since]
        lag = self.projection.lag_seconds
        return max(percentile(recent) or 0.0, lag) if recent or lag else None

    def _recent_resolutions(self) -> list[_Resolution]:
        since = self.clock() - self.windows.dependency_seconds
        return [one for one in self._resolutions if one.at >= since]

    def _longest_wait(self) -> tuple[float | None, str]:
        """Return the largest share of its time that a service needed the last time that it waited, and which."""
        latest = {one.service: one.share for one in self._recent_resolutions()}
        longest = max(latest, key=lambda name: latest[name], default="")
        return latest.get(longest), longest

    def _errors(self) -> tuple[float | None, str]:
        """Return the share of failed handlings, and who failed most."""
        since = self.clock() - self.windows.error_seconds
        total = 0
        failures: dict[str, int] = {}
        for one in self.bus.subscriptions:
            recent = [*one.handled_since(since)]
            total += len(recent)
            failures[one.name] = failures.get(one.name, 0) + sum(handling.failed for handling in recent)
        failed = sum(failures.values())
        if total < self.windows.fewest_handlings:
            return None, ""
        return failed / total, max(failures, key=lambda name: failures[name]) if failed else ""


def percentile(values: Iterable[float], share: float = PERCENTILE) -> float | None:
    """Return the smallest value that so large a share of all does not exceed; None of nothing."""
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None
