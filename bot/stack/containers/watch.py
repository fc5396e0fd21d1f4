"""Track the state of an environment's containers: by the engine's events, with a slow poll as a fallback."""

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine, Iterable
from dataclasses import replace
from types import TracebackType
from typing import Any, TypeVar

from roas.concurrency import begun, end_tasks, wait_for
from roas.errors import EngineUnavailableError
from roas.limits import ENGINE_GRACE_SECONDS
from roas.models.health import ContainerSnapshot, ContainerState
from roas.stack.containers.docker_events import asks_to_end
from roas.stack.containers.snapshots import in_order
from roas.stack.interface import ContainerEvent, ContainerSource
from roas.stack.service_comparison import by_service

POLL_SECONDS = 2.0
# Looking at a large stack takes long: no more of the time than this is spent on the poll.
POLL_SHARE = 0.05
# How many polls in a row may be left out while events come: an engine drops some for who reads them too slowly.
MOST_POLLS_LEFT_OUT = 5
Verdict = TypeVar("Verdict")


class ContainerWatch:
    """Follow the containers of one environment. It subscribes before the first look, so that nothing is missed."""

    def __init__(self, stack: ContainerSource, *, poll_seconds: float = POLL_SECONDS) -> None:
        self._stack = stack
        self._poll_seconds = poll_seconds
        self._containers: tuple[ContainerSnapshot, ...] = ()
        self._by_service: dict[str, tuple[ContainerSnapshot, ...]] = {}
        # Those who wait for the next look, and for a change of one service's containers: a large stack has many.
        self._waiting: dict[str | None, set[asyncio.Future[None]]] = {}
        self._dirty = asyncio.Event()
        # What the events named since the last look; None: all of it has to be looked at.
        self._touched: set[str] | None = None
        self._reading = asyncio.Lock()
        # Containers that the engine was asked to end, and did not start again since.
        self._stopped: set[str] = set()
        # Containers of which an event said that they ended, and since when others look ended of which none has yet.
        self._ends_told: set[str] = set()
        self._untold_since: dict[str, float] = {}
        # Containers of which the kernel ended a process for want of memory: one that runs again does not tell.
        self._starved: set[str] = set()
        self._read_seconds = 0.0
        # When all of it was looked at last, or tried to be.
        self._whole_at = float("-inf")
        self.events_told = 0
        self._fault: EngineUnavailableError | None = None
        self._broken: BaseException | None = None
        self._away_since: float | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "ContainerWatch":
        subscribed = asyncio.Event()
        try:
            await self._until_subscribed(subscribed)
            self._dirty.clear()  # subscribed before the first look, so that it is all that is needed
            self._touched = set()
            await self.refresh()
        except BaseException:
            await end_tasks(*self._tasks)
            raise
        self._do(self._keep_fresh(), "container poll")
        return self

    async def _until_subscribed(self, subscribed: asyncio.Event) -> None:
        """Follow the events from here on. Raises what following them ended with instead."""
        follow = self._do(self._follow(subscribed), "container events")
        async with begun(subscribed.wait()) as waiting:
            await asyncio.wait({waiting, follow}, return_when=asyncio.FIRST_COMPLETED)
        if follow.done():
            follow.result()

    def _do(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Begin what goes on for as long as the watch; where it breaks, whoever waits gets to know."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._broken = error
            self._wake(tuple(self._waiting))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await end_tasks(*self._tasks)

    @property
    def containers(self) -> tuple[ContainerSnapshot, ...]:
        """Return the containers as they were at the last look."""
        return self._containers

    def of_service(self, service: str) -> tuple[ContainerSnapshot, ...]:
        """Return the containers of one service as they were at the last look."""
        return self._by_service.get(service, ())

    async def refresh(self) -> None:
        """Look at all containers now. Raises EngineUnavailableError."""
        async with self._reading:
            self._whole_at = began = time.monotonic()
            touched, self._touched = self._touched, set()  # this look sees what was done to them
            try:
                containers = await self._stack.containers()
            except BaseException:
                self._touched = None if touched is None or self._touched is None else touched | self._touched
                raise
            self._read_seconds = time.monotonic() - began
            self._settle(containers)

    async def inspect(self, container_ids: Iterable[str]) -> None:
        """Look at some containers now; the others stay as they were seen last. Raises EngineUnavailableError."""
        ids = frozenset(container_ids)
        if not ids:
            return
        # One look after the other: an earlier answer must not take the place of a later one.
        async with self._reading:
            await self._inspect(ids)

    async def _inspect(self, ids: Collection[str]) -> None:
        found = [self._before_event(container) for container in await self._stack.containers_by_id(frozenset(ids))]
        self._settle(in_order((*(container for container in self._containers if container.id not in ids), *found)))

    def _before_event(self, container: ContainerSnapshot) -> ContainerSnapshot:
        """Return a container as it was before an end that no event has told yet: events say who asked for it.

        They come within moments. One that does not come is not waited for longer than until the next poll.
        """
        before = next((known for known in self.of_service(container.service) if known.id == container.id), None)
        is_news = (
            container.state is ContainerState.EXITED
            and before is not None
            and before.state is ContainerState.RUNNING
            and container.id not in self._ends_told
            and not self._stack.replaces_by_itself
        )
        if before is None or not is_news:
            self._untold_since.pop(container.id, None)
            return container
        now = time.monotonic()
        return before if now - self._untold_since.setdefault(container.id, now) < self._poll_seconds else container

    def add(self, containers: Iterable[ContainerSnapshot]) -> None:
        """Take what was seen elsewhere of containers that were just made, and that were never looked at."""
        known = {container.id for container in self._containers}
        new = {container.id: container for container in containers if container.id not in known}
        if self._touched is not None:
            self._touched -= new.keys()
        if new:
            self._settle(in_order((*self._containers, *new.values())))

    async def until(
        self,
        judge: Callable[[tuple[ContainerSnapshot, ...]], Verdict | None],
        deadline_seconds: float | None = None,
        *,
        service: str | None = None,
    ) -> Verdict:
        """Wait until `judge` returns something other than None for the containers, and return that.

        With `service`, it is asked about the containers of that one, and whenever those change. Raises TimeoutError
        after the deadline, EngineUnavailableError where the engine stays unavailable.
        """
        async with asyncio.timeout(deadline_seconds):
            while (verdict := judge(self._containers if service is None else self.of_service(service))) is None:
                await self._woken(service)
                if (fault := self._broken or self._fault) is not None:
                    raise fault
            return verdict

    async def changed_within(self, seconds: float) -> bool:
        """Wait for the next look at the containers, but no longer than that; returns whether there was one."""
        try:
            async with asyncio.timeout(seconds):
                await self._woken(None)
        except TimeoutError:
            return False
        return True

    async def _follow(self, subscribed: asyncio.Event) -> None:
        """Wake the reader at every event; subscribe again when the stream breaks, but not before it was there once."""
        while True:
            try:
                async with self._stack.events() as events:
                    subscribed.set()
                    self._touched = None
                    self._dirty.set()
                    async for event in events:
                        self._remember_stop(event)
                        self._note(event)
            except EngineUnavailableError:
                if not subscribed.is_set():
                    raise
            await self.changed_within(self._poll_seconds)

    def _remember_stop(self, event: ContainerEvent) -> None:
        seen = next(
            (container for container in self.of_service(event.service) if container.id == event.container_id), None
        )
        if asks_to_end(event, seen.stop_signal if seen is not None else None):
            self._stopped.add(event.container_id)
        elif event.action == "start":  # one that is removed may still be looked at
            self._stopped.discard(event.container_id)
            self._ends_told.discard(event.container_id)
        elif event.action == "die":
            self._ends_told.add(event.container_id)
        elif event.action == "oom":
            self._starved.add(event.container_id)

    def _note(self, event: ContainerEvent) -> None:
        """Have the container of an event looked at; without an id, all of them.

        One that was just created waits for its start: until then nobody judges by it.
        """
        self.events_told += 1
        if not event.container_id:
            self._touched = None
        elif self._touched is not None:
            self._touched.add(event.container_id)
        if event.action != "create":
            self._dirty.set()

    async def _keep_fresh(self) -> None:
        while True:
            by_event = await self._named_or_due()
            self._dirty.clear()
            try:
                await self._catch_up(by_event=by_event)
            except EngineUnavailableError as error:
                self._touched = None
                self._handle_engine_unavailable(error)

    async def _named_or_due(self) -> bool:
        """Wait until an event names what to look at; returns False where all of it is due.

        That events come takes the place of polls for a while. It is counted from the last look at all of it, or none
        would ever be due while they come.
        """
        rest = max(self._poll_seconds, self._read_seconds / POLL_SHARE)
        latest = self._whole_at + rest * MOST_POLLS_LEFT_OUT
        named = await wait_for(self._dirty, min(rest, latest - time.monotonic()))
        return named and time.monotonic() < latest

    async def _catch_up(self, *, by_event: bool) -> None:
        """Look at what events named until it is this look's turn; at all of it where none did."""
        async with self._reading:
            touched, self._touched = self._touched if by_event else None, set()
            if touched:
                await self._inspect(touched)
        if touched is None:
            await self.refresh()

    def _settle(self, containers: tuple[ContainerSnapshot, ...]) -> None:
        if self._stopped:
            containers = tuple(replace(snapshot, was_stopped=snapshot.id in self._stopped) for snapshot in containers)
        if self._starved:
            containers = tuple(
                replace(snapshot, oom_killed=snapshot.oom_killed or snapshot.id in self._starved)
                for snapshot in containers
            )
        found = {name: tuple(there) for name, there in by_service(containers).items()}
        before, self._by_service = self._by_service, found
        self._containers = containers
        self._fault, self._away_since = None, None
        moved = {name for name in before.keys() | self._by_service if before.get(name) != self._by_service.get(name)}
        self._wake({None, *moved})

    async def _woken(self, service: str | None) -> None:
        """Wait for a change of a service's containers; without one, for the next look. Who broke off wakes nobody."""
        if self._broken is not None:
            raise self._broken
        woken = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(service, set())
        waiting.add(woken)
        try:
            await woken
        finally:
            waiting.discard(woken)

    def _wake(self, services: Iterable[str | None]) -> None:
        for service in services:
            for woken in self._waiting.get(service, ()):
                if not woken.done():
                    woken.set_result(None)

    def _handle_engine_unavailable(self, error: EngineUnavailableError) -> None:
        now = time.monotonic()
        self._away_since = self._away_since or now
        if now - self._away_since < ENGINE_GRACE_SECONDS:
            return
        error.was_awaited = True
        self._fault = error
        self._wake(tuple(self._waiting))
