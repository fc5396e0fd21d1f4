"""Watch one stack by the engine's events, with a slow look behind them."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from roas.concurrency import end_tasks, pause
from roas.errors import EngineUnavailableError, RoasError
from roas.limits import WATCH_RETRY_SECONDS
from roas.log import PersistentFault, get_logger
from roas.models.environment import Environment
from roas.stack.interface import ContainerEvent
from roas.stack.stacks import Stacks

log = get_logger(__name__)

RECONCILE_SECONDS = 30.0
# How much longer than a look takes it is until the next one: events come to `on_event` at once all the same.
RESTS_PER_LOOK = 10.0
# So long what a deployment does to its own services may wait for a look: of many, each has several events.
CALM_SECONDS = 2.0
# An engine keeps its last 256 events, and repeats of them what it is asked for.
KNOWN_EVENTS = 256
ENGINE = "engine"
# What happened so long before the watch began tells of an end who asked for it.
BEFORE_SECONDS = 60.0
WHO_ASKED = frozenset({"kill", "start"})


class StackWatch:
    """Call `observe` at once, at every event, when a pending verdict is due, and at last after the reconcile time.

    `due_in` returns the seconds to the next pending verdict, or None; `on_event` gets every event first, once. An event
    that `is_calm` is observed a moment later, together with others. An engine that is unavailable is tried again, and
    asked for what was missed; only cancelling ends a watch.
    """

    def __init__(
        self,
        stacks: Stacks,
        environment: Environment,
        observe: Callable[[], Awaitable[None]],
        due_in: Callable[[], float | None],
        *,
        reconcile_seconds: float = RECONCILE_SECONDS,
        on_event: Callable[[ContainerEvent], Awaitable[None]] | None = None,
        is_calm: Callable[[ContainerEvent], bool] = lambda _event: False,
    ) -> None:
        self._on_event = on_event
        self._stacks = stacks
        self._environment = environment
        self._observe = observe
        self._due_in = due_in
        self._reconcile_seconds = reconcile_seconds
        self._is_calm = is_calm
        self._dirty = asyncio.Event()
        self._calm: asyncio.TimerHandle | None = None
        self._known: deque[tuple[int, str, str]] = deque(maxlen=KNOWN_EVENTS)
        self._begun_ns = 0
        self._seen_until_ns: int | None = None
        self._is_failing = False
        self._trouble = PersistentFault()

    def check_again(self) -> None:
        """Observe soon: something other than an event may have changed the stack."""
        self._dirty.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            try:
                await self._follow()
            except EngineUnavailableError as error:
                if self._trouble.is_new(ENGINE, error.message):
                    log.warning("engine is unavailable", environment=self._environment.name, error=error.message)
            except Exception:  # a watch that ends unnoticed would be worse than one that fails
                log.exception("watch failed", environment=self._environment.name)
            await self._wait_for_engine()

    async def _follow(self) -> None:
        """Observe as long as the events flow. Raises EngineUnavailableError when they end."""
        if self._seen_until_ns is None:
            self._begun_ns = time.time_ns()
            self._seen_until_ns = self._begun_ns - int(BEFORE_SECONDS * 1e9)
        async with self._stacks.of(self._environment).events(since_ns=self._seen_until_ns) as events:
            reader = asyncio.create_task(self._mark(events), name=f"events {self._environment.name}")
            try:
                while not reader.done():
                    self._dirty.clear()
                    began = time.monotonic()
                    rest = await self._check()
                    # Looking at a large stack takes long, and each of its containers has events when all of it moves.
                    await pause(min(rest, (time.monotonic() - began) * RESTS_PER_LOOK))
                    await self._rest(rest)
                await reader
            finally:
                await end_tasks(reader)

    async def _check(self) -> float:
        """Observe, and return after how many seconds to do so again at the latest. Raises EngineUnavailableError.

        A failed look, even for a full journal, does not stop the watch from receiving events.
        """
        try:
            await self._observe()
            if self._trouble.is_over(ENGINE):
                log.info("engine is available again", environment=self._environment.name)
            due = self._due_in()
        except EngineUnavailableError:
            raise
        except Exception as error:
            if not self._is_failing:
                trace = None if isinstance(error, RoasError) else error
                log.error("watch failed", environment=self._environment.name, error=str(error), exc_info=trace)
            self._is_failing = True
            return min(WATCH_RETRY_SECONDS, self._reconcile_seconds)
        if self._is_failing:
            log.info("watch recovered", environment=self._environment.name)
        self._is_failing = False
        return self._reconcile_seconds if due is None else min(due, self._reconcile_seconds)

    async def _mark(self, events: AsyncIterator[ContainerEvent]) -> None:
        try:
            async for event in events:
                if self._is_repeated(event) or (self._is_from_before(event) and event.action not in WHO_ASKED):
                    continue
                if self._on_event is not None:
                    await self._handle_event(event, self._on_event)
                self._wake(event)
        finally:
            self._dirty.set()

    def _wake(self, event: ContainerEvent) -> None:
        """Have the stack looked at: at once, or a moment later with what else comes until then."""
        if not self._is_calm(event):
            self._dirty.set()
        elif self._calm is None:
            self._calm = asyncio.get_running_loop().call_later(CALM_SECONDS, self._end_calm)

    def _end_calm(self) -> None:
        self._calm = None
        self._dirty.set()

    def _is_from_before(self, event: ContainerEvent) -> bool:
        return 0 < event.time_ns < self._begun_ns

    def _is_repeated(self, event: ContainerEvent) -> bool:
        """Return whether an event was received already; one without a time always counts as new."""
        if not event.time_ns:
            return False
        mark = event.time_ns, event.container_id, event.action
        if mark in self._known:
            return True
        self._known.append(mark)
        self._seen_until_ns = event.time_ns
        return False

    async def _handle_event(self, event: ContainerEvent, on_event: Callable[[ContainerEvent], Awaitable[None]]) -> None:
        try:
            await on_event(event)
        except RoasError as error:  # the journal is full: the subscriber keeps the event until it is not
            facts = {"environment": self._environment.name, "service": event.service, "action": event.action}
            log.error("event cannot be saved yet", error=error.message, **facts)
        except Exception:  # one event that cannot be dealt with must not end the stream of them
            log.exception("event lost", environment=self._environment.name, action=event.action)

    async def _wait_for_engine(self) -> None:
        """Publish that nothing is known, and give the engine a moment."""
        self._dirty.clear()
        with suppress(EngineUnavailableError):  # that is reported already
            await self._check()
        await self._rest(min(WATCH_RETRY_SECONDS, self._reconcile_seconds))

    async def _rest(self, seconds: float) -> None:
        # Not wait_for: in Python 3.11 it swallows a cancellation that arrives together with the event.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._dirty.wait()
