"""Deliver typed events between the parts of one process."""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, TypeVar

from roas.concurrency import end_tasks
from roas.log import get_logger
from roas.models.events import Event

log = get_logger(__name__)

HISTORY_LENGTH = 1000
HANDLER_DEADLINE_SECONDS = 30.0
QUEUE_LENGTH = 10_000
# How events were handled is of use for so long: no figure looks further back.
REMEMBERED_HANDLINGS, REMEMBERED_SECONDS = 1000, 300.0


Kind = TypeVar("Kind", bound=Event)
Handler = Callable[[Kind], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Handling:
    """Record how one event was handled: its end (monotonic), the seconds since it was published, whether it failed."""

    ended: float
    seconds: float
    failed: bool


@dataclass(slots=True)
class SubscriberStatistics:
    """Count what a subscriber did with its events; latency is in seconds from publishing to handled."""

    handled: int = 0
    failed: int = 0
    timed_out: int = 0
    dropped: int = 0
    last_latency_seconds: float = 0.0
    last_error: str = ""


class Subscription:
    """Deliver the events of one kind to one handler, in order, in a task of its own."""

    def __init__(
        self,
        kind: type[Kind],
        handler: Handler[Kind],
        name: str,
        deadline_seconds: float,
        handled: Callable[[float], None] = lambda _seconds: None,
        environment: str | None = None,
    ) -> None:
        self._handled = handled
        self._environment = environment
        self._kind = kind
        self.name = name
        self.statistics = SubscriberStatistics()
        self.recent: deque[Handling] = deque(maxlen=REMEMBERED_HANDLINGS)
        self._in_progress: float | None = None
        self._handler: Handler[Any] = handler
        self._deadline_seconds = deadline_seconds
        self._queue: deque[tuple[Event, float]] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task = asyncio.create_task(self._run(), name=f"subscription {name}")

    def matches(self, event: Event) -> bool:
        """Return whether an event is of the kind, or of one that is derived from it, and of the environment, if any."""
        concerns = self._environment is None or getattr(event, "environment", None) == self._environment
        return concerns and isinstance(event, self._kind)

    def offer(self, event: Event) -> None:
        """Queue an event; a subscriber that lags without end loses its oldest, and the loss is counted."""
        if len(self._queue) >= QUEUE_LENGTH:
            self._queue.popleft()
            self.statistics.dropped += 1
        self._queue.append((event, time.monotonic()))
        self._idle.clear()
        self._wake.set()

    @property
    def waiting_seconds(self) -> float:
        """Return how long the oldest event waits that is not handled yet; 0 where none does."""
        oldest = self._in_progress if self._in_progress is not None else self._queue[0][1] if self._queue else None
        return 0.0 if oldest is None else time.monotonic() - oldest

    def handled_since(self, since: float) -> Iterator[Handling]:
        """Yield what was handled since a monotonic time, newest first."""
        return takewhile(lambda handling: handling.ended >= since, reversed(self.recent))

    async def drained(self) -> None:
        """Wait until every queued event was handled."""
        await self._idle.wait()

    async def close(self) -> None:
        """Stop handing out events."""
        self._idle.set()
        if asyncio.current_task() is self._task:
            self._task.cancel()
        else:
            await end_tasks(self._task)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            while self._queue:
                event, published = self._queue.popleft()
                self._in_progress = published
                well = await self._handle(event)
                self._in_progress = None
                ended = time.monotonic()
                self.statistics.last_latency_seconds = ended - published
                self._remember(Handling(ended, ended - published, failed=not well))
                self._handled(ended - published)
            self._wake.clear()
            self._idle.set()

    def _remember(self, handling: Handling) -> None:
        """Keep how an event was handled, and drop what is too old for any figure: those of an hour are megabytes."""
        self.recent.append(handling)
        while self.recent[0].ended < handling.ended - REMEMBERED_SECONDS:
            self.recent.popleft()

    async def _handle(self, event: Event) -> bool:
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await self._handler(event)
        except TimeoutError:
            self.statistics.timed_out += 1
            self.statistics.last_error = f"took longer than {self._deadline_seconds:g} s"
            log.error("subscriber hangs", subscriber=self.name, event_type=event.type, event_id=event.id)
        except Exception as error:  # one subscriber's fault must not reach another; it is counted and shown
            self.statistics.failed += 1
            self.statistics.last_error = repr(error)
            log.exception("subscriber failed", subscriber=self.name, event_type=event.type, event_id=event.id)
        else:
            self.statistics.handled += 1
            return True
        return False


class EventBus:
    """Publish events to subscribers, each of which runs at its own pace and cannot hurt another."""

    def __init__(self, history_length: int = HISTORY_LENGTH) -> None:
        self._subscriptions: list[Subscription] = []
        self._listeners: list[Callable[[float], None]] = []
        self._history_length = history_length
        self._history: OrderedDict[str, Event] = OrderedDict()
        self.published = 0

    def subscribe(
        self,
        kind: type[Kind],
        handler: Handler[Kind],
        *,
        name: str = "",
        deadline_seconds: float = HANDLER_DEADLINE_SECONDS,
        environment: str | None = None,
    ) -> Subscription:
        """Deliver events of a kind, and of those derived from it, to a handler; `name` identifies the subscriber.

        With an `environment`, those alone that concern it.
        """
        known_as = name or getattr(handler, "__qualname__", repr(handler))
        subscription = Subscription(kind, handler, known_as, deadline_seconds, self._handled, environment)
        self._subscriptions.append(subscription)
        return subscription

    def time_handlings(self, listener: Callable[[float], None]) -> None:
        """Call a listener with the seconds from publishing to handled, for each event at each subscriber."""
        self._listeners.append(listener)

    async def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription; what it had not handled yet is dropped."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
        await subscription.close()

    def publish(self, event: Event) -> bool:
        """Offer an event to every subscriber that wants it; returns False for an id that is in the history."""
        if event.id in self._history:
            return False
        self._history[event.id] = event
        if len(self._history) > self._history_length:
            self._history.popitem(last=False)
        self.published += 1
        for subscription in self._subscriptions:
            if subscription.matches(event):
                subscription.offer(event)
        return True

    async def drain(self) -> None:
        """Wait until every event published so far, and what it led to, was handled."""
        while not self.at_rest:
            await asyncio.gather(*(subscription.drained() for subscription in self._subscriptions))

    def history(self) -> tuple[Event, ...]:
        """Return the last events, oldest first."""
        return tuple(self._history.values())

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """Return the subscriptions, with their statistics."""
        return tuple(self._subscriptions)

    @property
    def at_rest(self) -> bool:
        """Return whether every event that was published has been handled."""
        return all(subscription._idle.is_set() for subscription in self._subscriptions)

    def _handled(self, seconds: float) -> None:
        for listener in self._listeners:
            listener(seconds)

    async def close(self) -> None:
        """End every subscription."""
        while self._subscriptions:
            await self._subscriptions.pop().close()
