"""A watch observes at events, survives an engine that is unavailable, and ends when it is told to."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from roas.concurrency import end_tasks
from roas.errors import EngineUnavailableError, StateError
from roas.health import stack_watch
from roas.health.stack_watch import StackWatch
from roas.models.environment import Environment
from roas.stack.interface import ContainerEvent
from tests.unit.log_lines import captured_logs
from tests.unit.one_stack import OneStack

DEV = Environment("dev", "shop-dev", Path(), ())
STARTED = ContainerEvent("start", "c1", "web", "shop-dev", {})


# Later than any watch of these tests begins.
LATER_NS = time.time_ns() + 3_600 * 10**9


def ended(time_ns: int, action: str = "die") -> ContainerEvent:
    return ContainerEvent(action, "c1", "web", "shop-dev", {}, LATER_NS + time_ns)


class EventSource(OneStack):
    """Hand out the events that a test puts in; None ends the stream."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[ContainerEvent | None] = asyncio.Queue()
        self.since: list[int] = []

    @asynccontextmanager
    async def events(self, *, since_ns: int) -> AsyncIterator[AsyncIterator[ContainerEvent]]:
        self.since.append(since_ns)
        yield self._iterate()

    async def _iterate(self) -> AsyncIterator[ContainerEvent]:
        while (event := await self.queue.get()) is not None:
            yield event
        raise EngineUnavailableError("The stream broke.")


class Scene:
    """Count the observations of a running watch."""

    def __init__(self, reconcile_seconds: float = 60.0) -> None:
        self.source, self.looked, self.due = EventSource(), asyncio.Semaphore(0), list[float]()
        self.breaks: Exception | None = None
        self.heard: list[ContainerEvent] = []
        self.moving: set[str] = set()
        self.watching = watching = StackWatch(
            self.source,  # type: ignore[arg-type]
            DEV,
            self._observe,
            self._due_in,
            reconcile_seconds=reconcile_seconds,
            on_event=self._hear,
            is_calm=lambda event: event.service in self.moving,
        )
        self.task = asyncio.create_task(watching.run())

    async def _observe(self) -> None:
        self.looked.release()
        if self.breaks is not None:
            raise self.breaks

    async def _hear(self, event: ContainerEvent) -> None:
        self.heard.append(event)

    def _due_in(self) -> float | None:
        return self.due.pop() if self.due else None

    async def looks(self, times: int = 1) -> None:
        async with asyncio.timeout(5):
            for _ in range(times):
                await self.looked.acquire()

    async def end(self) -> None:
        async with asyncio.timeout(5):
            await end_tasks(self.task)


async def test_samples_at_start_and_each_event() -> None:
    scene = Scene()
    await scene.looks()
    scene.source.queue.put_nowait(STARTED)
    await scene.looks()
    await scene.end()


async def test_samples_when_verdict_due_and_at_reconcile() -> None:
    scene = Scene(reconcile_seconds=0.05)
    scene.due = [0.01]
    await scene.looks(4)
    await scene.end()


async def test_broken_stream_sampled_and_resubscribed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack_watch, "WATCH_RETRY_SECONDS", 0.01)
    scene = Scene()
    await scene.looks()
    scene.source.queue.put_nowait(None)
    await scene.looks(2)
    assert len(scene.source.since) == 2
    await scene.end()


async def test_missed_events_replayed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was missed while a stream was broken is heard afterwards, and nothing twice."""
    monkeypatch.setattr(stack_watch, "WATCH_RETRY_SECONDS", 0.01)
    begun = time.time_ns()
    scene = Scene()
    await scene.looks()
    for event in (ended(10), None, ended(10), ended(20), None, ended(20)):
        scene.source.queue.put_nowait(event)
    async with asyncio.timeout(5):
        while len(scene.source.since) < 3 or not scene.source.queue.empty():  # noqa: ASYNC110 - the watch reads it
            await asyncio.sleep(0.01)
    await scene.end()
    assert 0 <= scene.source.since[0] + 60 * 10**9 - begun <= time.time_ns() - begun
    assert scene.source.since[1:] == [LATER_NS + 10, LATER_NS + 20]
    assert scene.heard == [ended(10), ended(20)]


async def test_who_asked_for_an_end_is_known_from_before_the_watch() -> None:
    """A bot that is started in the middle of somebody's command hears what was asked, and of no end but later ones."""
    scene = Scene()
    await scene.looks()
    before = -LATER_NS + time.time_ns() - 10**9
    for event in (ended(before, "kill"), ended(before + 1), ended(before + 2, "start"), ended(10)):
        scene.source.queue.put_nowait(event)
    async with asyncio.timeout(5):
        while len(scene.heard) < 3:  # noqa: ASYNC110 - the watch reads it
            await asyncio.sleep(0.01)
    await scene.end()
    assert [item.action for item in scene.heard] == ["kill", "start", "die"]


@pytest.mark.parametrize("problem", [ValueError("broken"), StateError("no room")])
async def test_failing_samples_keep_watch_running(monkeypatch: pytest.MonkeyPatch, problem: Exception) -> None:
    """It logs the failure once, and hears every event."""
    monkeypatch.setattr(stack_watch, "WATCH_RETRY_SECONDS", 0.01)
    with captured_logs() as logs:
        scene = Scene()
        scene.breaks = problem
        await scene.looks(4)
        scene.source.queue.put_nowait(ended(10))
        await scene.looks(4)
        scene.breaks = None
        async with asyncio.timeout(5):
            while len(logs) < 2:  # noqa: ASYNC110 - only the log says so
                await asyncio.sleep(0.01)
        await scene.end()
    assert len(scene.source.since) == 1
    assert scene.heard == [ended(10)]
    assert [log["event"] for log in logs] == ["watch failed", "watch recovered"]


async def test_engine_that_stays_away_is_logged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour of it would push out of the log what came before."""
    monkeypatch.setattr(stack_watch, "WATCH_RETRY_SECONDS", 0.01)
    away = EngineUnavailableError("It does not answer.")
    with captured_logs() as logs:
        scene = Scene()
        scene.breaks = away
        await scene.looks(5)
        scene.breaks = EngineUnavailableError("It is too busy.")
        await scene.looks(5)
        scene.breaks = None
        async with asyncio.timeout(5):
            while len(logs) < 3:  # noqa: ASYNC110 - only the log says so
                await asyncio.sleep(0.01)
        await scene.end()
    told = [(log["event"], log.get("error")) for log in logs]
    assert told == [
        ("engine is unavailable", "It does not answer."),
        ("engine is unavailable", "It is too busy."),
        ("engine is available again", None),
    ]


async def test_cancel_wins_over_simultaneous_event() -> None:
    scene = Scene()
    await scene.looks()
    await asyncio.sleep(0)
    for _ in range(20):
        scene.source.queue.put_nowait(STARTED)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    scene.source.queue.put_nowait(STARTED)
    await asyncio.sleep(0)
    await scene.end()
    assert scene.task.cancelled()


async def test_what_a_deployment_does_is_observed_a_moment_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """It starts many services, each of which has several events; nobody judges by them until it has ended."""
    monkeypatch.setattr(stack_watch, "CALM_SECONDS", 3600.0)
    scene = Scene()
    try:
        await scene.looks()
        scene.moving = {"web"}
        for number in range(3):
            scene.source.queue.put_nowait(ended(number + 1))
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(scene.heard) == 3
        assert scene.looked.locked()
        scene.source.queue.put_nowait(ContainerEvent("start", "c2", "db", "shop-dev", {}, 9))
        await scene.looks()
        assert scene.looked.locked()
        scene.watching._end_calm()
        await scene.looks()
        assert scene.looked.locked()
    finally:
        await scene.end()
