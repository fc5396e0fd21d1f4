"""A watch observes at events, survives an engine that is away, and ends when it is told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.engine.interface import ContainerEvent
from bot.errors import EngineUnavailableError
from bot.models.environment import Environment
from bot.monitoring import watch
from bot.monitoring.watch import StackWatch

DEV = Environment("dev", "shop-dev", Path(), ())
STARTED = ContainerEvent("start", "c1", "web", "shop-dev", {})


class EventSource:
    """Hand out the events that a test puts in; None ends the stream."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[ContainerEvent | None] = asyncio.Queue()
        self.subscriptions = 0

    @asynccontextmanager
    async def events(self, environment: Environment) -> AsyncIterator[AsyncIterator[ContainerEvent]]:
        self.subscriptions += 1
        yield self._iterate()

    async def _iterate(self) -> AsyncIterator[ContainerEvent]:
        while (event := await self.queue.get()) is not None:
            yield event
        raise EngineUnavailableError("The stream broke.")


class Scene:
    """Count the observations of a running watch."""

    def __init__(self, reconcile_seconds: float = 60.0) -> None:
        self.source, self.looked, self.due, self.breaks = EventSource(), asyncio.Semaphore(0), list[float](), False
        watching = StackWatch(self.source, DEV, self._observe, self._due_in, reconcile_seconds=reconcile_seconds)  # type: ignore[arg-type]
        self.task = asyncio.create_task(watching.run())

    async def _observe(self) -> None:
        self.looked.release()
        if self.breaks:
            raise ValueError("broken")

    def _due_in(self) -> float | None:
        return self.due.pop() if self.due else None

    async def looks(self, times: int = 1) -> None:
        async with asyncio.timeout(5):
            for _ in range(times):
                await self.looked.acquire()

    async def end(self) -> None:
        self.task.cancel()
        async with asyncio.timeout(5):
            await asyncio.gather(self.task, return_exceptions=True)


async def test_it_looks_at_once_and_again_at_every_event() -> None:
    scene = Scene()
    await scene.looks()
    scene.source.queue.put_nowait(STARTED)
    await scene.looks()
    await scene.end()


async def test_it_looks_again_when_a_verdict_is_due_and_after_the_reconcile_time() -> None:
    scene = Scene(reconcile_seconds=0.05)
    scene.due = [0.01]
    await scene.looks(4)
    await scene.end()


async def test_a_broken_stream_is_looked_at_and_subscribed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "RETRY_SECONDS", 0.01)
    scene = Scene()
    await scene.looks()
    scene.source.queue.put_nowait(None)
    await scene.looks(2)
    assert scene.source.subscriptions == 2
    await scene.end()


async def test_a_look_that_breaks_does_not_end_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "RETRY_SECONDS", 0.01)
    scene = Scene()
    scene.breaks = True
    await scene.looks(4)
    assert not scene.task.done()
    await scene.end()


async def test_it_ends_even_when_an_event_arrives_in_the_same_moment() -> None:
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
