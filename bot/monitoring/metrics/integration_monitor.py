"""Watch how well the parts work together, and say once when they do not, and once when they do again."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from roas.concurrency import wait_for, wait_in_step
from roas.events import EventBus, Subscription
from roas.log import get_logger
from roas.messages.message import said
from roas.models.events import IntegrationDegraded, IntegrationEvent, IntegrationRecovered
from roas.models.identifiers import new_id
from roas.monitoring.metrics.integration_figures import IntegrationFigures, IntegrationMeasurements

log = get_logger(__name__)

SOURCE = "integration_monitor"
CHECK_SECONDS = 0.5
# How often while nothing fires, and nothing has happened since the last check.
REST_SECONDS = 5.0
# The alert store may have been unavailable: firing alerts, and for a while resolved ones, are reported again.
REPUBLISH_SECONDS = 30.0
REPUBLISH_FOR_SECONDS = 600.0


@dataclass(slots=True)
class _Publication:
    """Remember what was reported about a figure: since when, when last, and with which text."""

    since: float
    last: float
    event: IntegrationEvent


@dataclass(frozen=True, slots=True)
class Limit:
    """Set when a figure is bad, in the unit that people read; `low` where too little is bad."""

    name: str
    title: str
    threshold: float
    unit: str
    low: bool = False

    def is_broken(self, value: float) -> bool:
        """Return whether a value is beyond the limit."""
        return value < self.threshold if self.low else value > self.threshold

    def describe(self, value: float, suspect: str) -> str:
        """Return the value, the limit and who is behind it, for people."""
        shown, allowed = f"{value:.4g} {self.unit}", f"{self.threshold:g} {self.unit}"
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


EVENT_LATENCY = Limit("event_latency", said("Event latency is high"), 1000.0, "ms")
STATE_SYNC_LAG = Limit("state_sync_lag", said("Redis sync lag is high"), 500.0, "ms")
WAITING = Limit("dependency_resolution", said("Dependency resolution time is high"), 80.0, "%")
ERROR_RATE = Limit("integration_error_rate", said("Integration error rate is high"), 5.0, "%")
SUCCESS_RATE = Limit("coordination_success_rate", said("Deployment success rate is low"), 95.0, "%", low=True)
LIMITS = (EVENT_LATENCY, STATE_SYNC_LAG, WAITING, ERROR_RATE, SUCCESS_RATE)


class IntegrationMonitor:
    """Compare the figures with their limits, twice a second while anything happens, for as long as it runs.

    While nothing does, it sleeps until an event is published; Redis, where there is one, is looked at all the time.
    """

    def __init__(self, bus: EventBus, measurements: IntegrationMeasurements) -> None:
        self._bus = bus
        self._measurements = measurements
        self._firing: set[str] = set()
        self._published: dict[str, _Publication] = {}
        self._subscriptions: tuple[Subscription, ...] = ()
        self._mark: object = None
        self._next_check = 0.0
        self._closing = asyncio.Event()
        self._moved = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def listen(self) -> None:
        """Begin to measure."""
        self._subscriptions = self._measurements.subscribe()
        self._bus.call_at_publish(self._moved.set)

    def start(self) -> None:
        """Begin to raise alerts; of those that an earlier process left open, what does not hold is cleared."""
        if self._task is not None:
            return
        self._closing.clear()
        self._firing.clear()
        self._published.clear()
        for limit, value, _ in _values(self.figures()):
            if value is None or not limit.is_broken(value):
                self._publish(limit, None, "", firing=False)
        self._task = asyncio.create_task(self._run(), name="integration_monitor")

    async def stop(self) -> None:
        """Stop raising alerts; measuring continues."""
        self._closing.set()
        self._moved.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

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

    async def _run(self) -> None:
        while not self._closing.is_set():
            self._moved.clear()
            if self._rests():
                await wait_in_step(self._moved, REST_SECONDS if self._measurements.only_by_events else CHECK_SECONDS)
                continue
            self.check()
            await wait_for(self._closing, CHECK_SECONDS)

    def _rests(self) -> bool:
        """Return whether nothing fires and nothing can have become worse since the last check, not long ago."""
        now, before, self._mark = self._measurements.clock(), self._mark, self._measurements.mark
        if self._mark is not None and self._mark == before and not self._firing and now < self._next_check:
            return True
        self._next_check = now + REST_SECONDS
        return False

    def check(self) -> None:
        """Compare every figure with its limit, and notify the bus what changed."""
        figures = self.figures()
        for limit, value, suspect in _values(figures):
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


def _values(figures: IntegrationFigures) -> tuple[tuple[Limit, float | None, str], ...]:
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
