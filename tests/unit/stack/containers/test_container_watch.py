"""The watch looks at what the events name, and at everything when it cannot know what it missed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from roas.concurrency import end_tasks
from roas.errors import EngineUnavailableError, ShortageError
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.stack import ServiceDefinition
from roas.stack.containers.readiness import judge_readiness
from roas.stack.containers.watch import ContainerWatch
from roas.stack.interface import ContainerEvent

NEVER = 3600.0
TURNS = 50
STARTED = datetime(2026, 11, 26, 12, tzinfo=UTC)
LATER = STARTED + timedelta(seconds=1)


class Watched:
    """An engine with a few containers, which counts the looks at them."""

    replaces_by_itself = False

    def __init__(self) -> None:
        self.there = {name: a_container(name) for name in ("a", "b", "c")}
        self.looks: asyncio.Queue[frozenset[str] | None] = asyncio.Queue()
        self.events_: asyncio.Queue[ContainerEvent | None] = asyncio.Queue()
        self.slow: asyncio.Event | None = None

    async def containers(self) -> tuple[ContainerSnapshot, ...]:
        self.looks.put_nowait(None)
        found = tuple(self.there.values())
        if self.slow is not None:
            await self.slow.wait()
        return found

    async def containers_by_id(self, ids: frozenset[str]) -> tuple[ContainerSnapshot, ...]:
        self.looks.put_nowait(ids)
        return tuple(item for item in self.there.values() if item.id in ids)

    @asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[ContainerEvent]]:
        async def iterate() -> AsyncIterator[ContainerEvent]:
            while (event := await self.events_.get()) is not None:
                yield event
            raise EngineUnavailableError("the stream broke", hint="")

        yield iterate()

    def change(self, name: str, **fields: Any) -> None:
        self.there[name] = replace(self.there[name], **fields)
        self.say(name)

    def say(self, name: str, action: str = "change", at: datetime | None = None, **attributes: str) -> None:
        time_ns = 0 if at is None else round(at.timestamp() * 1e9)
        self.events_.put_nowait(ContainerEvent(action, name, name, "", attributes, time_ns))


def a_container(name: str) -> ContainerSnapshot:
    return ContainerSnapshot(name, name, name, ContainerState.RUNNING, HealthStatus.STARTING, "i", "i", "h")


@pytest.fixture
def engine() -> Watched:
    return Watched()


def watching(engine: Watched) -> ContainerWatch:
    return ContainerWatch(engine, poll_seconds=NEVER)  # type: ignore[arg-type]


async def until_healthy(watch: ContainerWatch, name: str) -> None:
    def judge(containers: tuple[ContainerSnapshot, ...]) -> bool | None:
        return (
            any(container.id == name and container.health is HealthStatus.HEALTHY for container in containers) or None
        )

    await watch.until(judge, 5)


async def test_event_has_its_own_container_looked_at(engine: Watched) -> None:
    async with watching(engine) as watch:
        assert await engine.looks.get() is None  # once, since the stream was there before
        engine.change("b", health=HealthStatus.HEALTHY)
        await until_healthy(watch, "b")
        assert await engine.looks.get() == frozenset({"b"})
        assert [container.id for container in watch.containers] == ["a", "b", "c"]
        del engine.there["b"]
        engine.say("b")
        await watch.until(lambda containers: len(containers) == 2 or None, 5)
        assert await engine.looks.get() == frozenset({"b"})
        assert engine.looks.empty()


@pytest.mark.parametrize("asked", [True, False])
async def test_end_waits_for_who_asked_for_it(engine: Watched, asked: bool) -> None:
    """A look may be quicker than the events before it: they say whether somebody stopped what has ended."""
    async with watching(engine) as watch:
        engine.there["b"] = replace(engine.there["b"], state=ContainerState.EXITED, exit_code=137)
        engine.say("b", "exec_die")
        await watch.changed_within(5)
        assert watch.of_service("b") == (a_container("b"),)
        if asked:
            engine.say("b", "kill", signal="15")
        engine.say("b", "die")
        await watch.changed_within(5)
        (ended,) = watch.of_service("b")
        assert (ended.state, ended.was_stopped) == (ContainerState.EXITED, asked)


async def test_end_of_which_no_event_tells_is_seen(engine: Watched) -> None:
    async with ContainerWatch(engine, poll_seconds=0.05) as watch:  # type: ignore[arg-type]
        engine.change("b", state=ContainerState.EXITED)
        ended = lambda there: any(item.state is ContainerState.EXITED for item in there) or None  # noqa: E731
        assert await watch.until(ended, 5)


async def test_waiter_is_woken_for_its_own_service(engine: Watched) -> None:
    """In a large stack everything moves, and each service is waited for: only its own containers count."""
    judged: list[tuple[ContainerSnapshot, ...]] = []

    def judge(containers: tuple[ContainerSnapshot, ...]) -> bool | None:
        judged.append(containers)
        return containers[0].health is HealthStatus.HEALTHY or None

    async with watching(engine) as watch:
        service = engine.there["b"].service
        assert service != engine.there["a"].service
        waiting = asyncio.create_task(watch.until(judge, 5, service=service))
        for number in range(3):
            engine.change("a", restart_count=number + 1)
            await watch.until(lambda there, wanted=number + 1: there[0].restart_count == wanted or None, 5)  # type: ignore[misc]
        engine.change("b", health=HealthStatus.HEALTHY)
        assert await waiting
    assert [[container.id for container in containers] for containers in judged] == [["b"], ["b"]]


async def test_broken_stream_has_all_looked_at(engine: Watched) -> None:
    watch = ContainerWatch(engine, poll_seconds=0.01)  # type: ignore[arg-type]
    async with watch:
        engine.change("a", health=HealthStatus.HEALTHY)
        await until_healthy(watch, "a")
        watch._poll_seconds = NEVER
        engine.there["c"] = replace(engine.there["c"], health=HealthStatus.HEALTHY)  # said by no event
        engine.events_.put_nowait(None)
        watch._poll_seconds = 0.01
        await until_healthy(watch, "c")


async def test_event_without_id_has_all_looked_at(engine: Watched) -> None:
    async with watching(engine) as watch:
        engine.change("a", health=HealthStatus.HEALTHY)
        await until_healthy(watch, "a")
        engine.there["c"] = replace(engine.there["c"], health=HealthStatus.HEALTHY)
        engine.say("")
        await until_healthy(watch, "c")


async def test_slow_look_does_not_undo_a_later_one(engine: Watched) -> None:
    async with watching(engine) as watch:
        assert await engine.looks.get() is None
        engine.slow = asyncio.Event()
        slow = asyncio.create_task(watch.refresh())
        assert await engine.looks.get() is None
        engine.change("b", health=HealthStatus.HEALTHY)  # the slow look has seen it as it was
        for _ in range(TURNS):  # enough for a look at it, if nothing held it back
            await asyncio.sleep(0)
        engine.slow.set()
        await slow
        await until_healthy(watch, "b")
        assert watch.of_service("b")[0].health is HealthStatus.HEALTHY


async def test_created_is_looked_at_with_what_comes_next(engine: Watched) -> None:
    async with watching(engine) as watch:
        assert await engine.looks.get() is None
        engine.say("a", "create")
        for _ in range(TURNS):
            await asyncio.sleep(0)
        assert engine.looks.empty()
        engine.change("b", health=HealthStatus.HEALTHY)
        await until_healthy(watch, "b")
        assert await engine.looks.get() == frozenset({"a", "b"})


async def test_what_was_seen_elsewhere_is_not_looked_at_again(engine: Watched) -> None:
    made = replace(a_container("d"), state=ContainerState.CREATED)
    async with watching(engine) as watch:
        assert await engine.looks.get() is None
        engine.say("d", "create")
        for _ in range(TURNS):
            await asyncio.sleep(0)
        watch.add([made, replace(engine.there["a"], state=ContainerState.CREATED)])
        assert watch.of_service("d") == (made,)
        assert watch.of_service("a")[0].state is ContainerState.RUNNING, "what was looked at is known better"
        engine.change("b", health=HealthStatus.HEALTHY)
        await until_healthy(watch, "b")
        assert await engine.looks.get() == frozenset({"b"})


async def test_poll_comes_while_events_name_one_container_after_the_other(engine: Watched) -> None:
    """An engine drops events for who reads them slowly, and that is when there are many."""
    watch = ContainerWatch(engine, poll_seconds=0.3)  # type: ignore[arg-type]

    async def restart_for_ever() -> None:
        while True:
            engine.say("a")
            await asyncio.sleep(0.005)

    async with watch:
        storm = asyncio.create_task(restart_for_ever())
        try:
            engine.there["c"] = replace(engine.there["c"], health=HealthStatus.HEALTHY)  # said by no event
            await until_healthy(watch, "c")
        finally:
            await end_tasks(storm)


async def test_events_that_name_containers_put_the_poll_off(engine: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment that is over within a few polls needs none, however much happens in it."""
    watch, now, looks = ContainerWatch(engine, poll_seconds=2.0), 1000.0, []  # type: ignore[arg-type, var-annotated]
    monkeypatch.setattr("roas.stack.containers.watch.time.monotonic", lambda: now)
    await watch.refresh()

    async def named(_event: asyncio.Event, seconds: float) -> bool:
        nonlocal now
        now += min(max(seconds, 0.0), 0.5)
        return True

    monkeypatch.setattr("roas.stack.containers.watch.wait_for", named)
    while await watch._named_or_due():
        looks.append(now)
    assert (looks[0], looks[-1], now) == (1000.5, 1009.5, 1010.0)


async def test_want_of_memory_is_told_of_what_runs_again(engine: Watched) -> None:
    """The engine forgets it with the restart: only its event tells why the container was restarted."""
    async with watching(engine) as watch:
        engine.say("a", "oom")
        engine.change("a", restart_count=1)
        while not any(item.restart_count for item in watch.of_service("a")):
            assert await watch.changed_within(10.0)
        judged = judge_readiness(ServiceDefinition("a", "i", "h"), watch.of_service("a"), tolerated_restarts=0)
    assert "ran out of memory" in judged.reason


@pytest.mark.parametrize("error", [ShortageError("no thread"), RuntimeError("a bug"), EngineUnavailableError("away")])
async def test_watch_that_gets_no_events_does_not_begin(engine: Watched, error: Exception) -> None:
    """Whatever keeps it from them: who waits for the first of them would wait for ever."""

    def refuse() -> Any:
        raise error

    engine.events = refuse  # type: ignore[method-assign]
    async with asyncio.timeout(5):
        with pytest.raises(type(error), match=str(error)):
            await watching(engine).__aenter__()


async def test_broken_watch_tells_who_waits(engine: Watched) -> None:
    async with watching(engine) as watch:
        waiting = asyncio.create_task(watch.until(lambda _: None))
        for _ in range(TURNS):
            await asyncio.sleep(0)
        engine.containers_by_id = None  # type: ignore[assignment, method-assign]
        engine.say("a")
        async with asyncio.timeout(5):
            with pytest.raises(TypeError):
                await waiting
            with pytest.raises(TypeError):  # and who comes later
                await watch.until(lambda _: None)


@pytest.mark.parametrize("unchecked", [False, True])
async def test_failing_health_check_is_looked_at(engine: Watched, unchecked: bool) -> None:
    """The event does not tell whether it failed, or whether the engine could not run it."""
    engine.there["a"] = replace(engine.there["a"], started_at=STARTED)
    async with watching(engine) as watch:
        await engine.looks.get()
        health = HealthStatus.STARTING if unchecked else HealthStatus.UNHEALTHY
        engine.there["a"] = replace(engine.there["a"], health=health, unchecked=unchecked)
        engine.say("a", "health_status", LATER, health_status="unhealthy")
        assert await engine.looks.get() == {"a"}
        async with asyncio.timeout(5):
            await watch.until(lambda them: them[0].health is health or None)
