"""A service is waited for until it is ready: what is new has no excuse, what was suspended has a moment."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from roas.errors import ServiceFailedError
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.stack import ServiceDefinition
from roas.stack.containers import readiness
from roas.stack.containers.readiness import Readiness
from roas.stack.containers.watch import ContainerWatch
from roas.stack.interface import ContainerEvent
from roas.stack.service_comparison import WantedService
from tests.unit.deploy.fake_engine import UNHEALTHY, FakeEngine

DEV = Environment("dev", "shop-dev", Path(), ())
WEB = ServiceDefinition("web", "web:v1", "d", (), has_health_check=True)
WELL = ContainerSnapshot("c1", "web", "web", ContainerState.RUNNING, HealthStatus.HEALTHY, "i", "i", "h")
SECONDS = 10.0


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine({"web": WEB}, running={"c1": WELL})


@pytest.fixture
async def watch(engine: FakeEngine) -> AsyncIterator[ContainerWatch]:
    async with ContainerWatch(engine, poll_seconds=0.05) as watch:  # type: ignore[arg-type]
        yield watch


def waiting(engine: FakeEngine, watch: ContainerWatch, **options: Any) -> "asyncio.Task[Readiness]":
    """Wait for the service as a deployment does."""

    async def wait() -> Readiness:
        async with asyncio.timeout(SECONDS):
            return (await readiness.wait_until_ready(engine, WEB, watch, **options)).state  # type: ignore[arg-type]

    return asyncio.create_task(wait())


async def seen(engine: FakeEngine, watch: ContainerWatch, state: ContainerState, health: HealthStatus) -> None:
    """Let the container be so, until that was looked at."""
    engine.running["c1"] = replace(WELL, state=state, health=health)
    await watch.refresh()
    await asyncio.sleep(0)


async def test_new_unhealthy_container_fails_at_once(engine, watch):
    await seen(engine, watch, *UNHEALTHY)
    with pytest.raises(ServiceFailedError, match="its health check fails"):
        await waiting(engine, watch)


async def test_old_unhealthy_container_may_get_well(engine, watch):
    """Whoever goes back to it finds it as `docker pause` left it: well, but for its last check."""
    await seen(engine, watch, *UNHEALTHY)
    ready = waiting(engine, watch, old=frozenset({"c1"}))
    await seen(engine, watch, *UNHEALTHY)
    assert not ready.done()
    await seen(engine, watch, ContainerState.RUNNING, HealthStatus.HEALTHY)
    assert await ready is Readiness.HEALTHY


async def test_container_suspended_meanwhile_may_get_well(engine, watch):
    await seen(engine, watch, ContainerState.RUNNING, HealthStatus.STARTING)
    ready = waiting(engine, watch)
    await asyncio.sleep(0)
    await seen(engine, watch, ContainerState.PAUSED, HealthStatus.STARTING)
    await seen(engine, watch, *UNHEALTHY)
    assert not ready.done()
    await seen(engine, watch, ContainerState.RUNNING, HealthStatus.HEALTHY)
    assert await ready is Readiness.HEALTHY


async def test_old_container_that_stays_unhealthy_fails(engine, watch, monkeypatch):
    monkeypatch.setattr(readiness, "HEALTHY_AGAIN_SECONDS", 0.1)
    await seen(engine, watch, *UNHEALTHY)
    with pytest.raises(ServiceFailedError, match="its health check fails"):
        await waiting(engine, watch, old=frozenset({"c1"}))


@pytest.mark.parametrize("is_seen_going", [False, True])
async def test_container_that_somebody_removes_is_no_fault_of_the_release(engine, watch, is_seen_going):
    """It is told at once, whether the engine shows it while it goes or no more; and nobody reads its last lines."""
    await seen(engine, watch, ContainerState.RUNNING, HealthStatus.STARTING)
    ready = waiting(engine, watch)
    await asyncio.sleep(0)
    if is_seen_going:
        await seen(engine, watch, ContainerState.REMOVING, HealthStatus.NONE)
    else:
        engine.running.clear()
        await watch.refresh()
    with pytest.raises(ServiceFailedError, match="its container was removed by somebody else") as raised:
        await ready
    assert "Find out who did that" in raised.value.hint
    assert raised.value.report == ""


async def test_container_that_somebody_stops_is_no_fault_of_the_release(engine, watch):
    """`docker compose stop` in the middle ends it with code 0, or 137; the release needs no correction."""
    ready = await stopped_while_starting(engine, watch)
    with pytest.raises(ServiceFailedError, match="web failed: somebody else stopped it") as raised:
        await ready
    assert "Find out who did that" in raised.value.hint


async def test_container_that_ends_after_it_was_started_again_ended_by_itself(engine, watch):
    with pytest.raises(ServiceFailedError, match="it ended with code 0"):
        await (await stopped_while_starting(engine, watch, "start"))


@pytest.mark.parametrize("sent", ["1", "28"])
async def test_container_that_was_told_to_reload_ended_by_itself(engine, watch, sent):
    with pytest.raises(ServiceFailedError, match="it ended with code 0"):
        await (await stopped_while_starting(engine, watch, sent=sent))


async def stopped_while_starting(
    engine: FakeEngine, watch: ContainerWatch, *later: str, sent: str = "15"
) -> "asyncio.Task[Readiness]":
    """Let a container end after a signal, and `later` events, while it is waited for."""
    await seen(engine, watch, ContainerState.RUNNING, HealthStatus.STARTING)
    ready = waiting(engine, watch)
    await asyncio.sleep(0)
    engine.running["c1"] = replace(WELL, state=ContainerState.EXITED, health=HealthStatus.NONE, exit_code=0)
    for action in ("kill", *later, "die"):
        for stream in engine.streams:
            stream.put_nowait(ContainerEvent(action, "c1", "web", DEV.project, attributes={"signal": sent}))
    return ready


async def test_what_was_stopped_of_the_same_name_is_not_waited_for(engine, watch):
    """Where the image has a fixed name, the container in whose place one is made has the same hash as that."""
    engine.running["c2"] = replace(WELL, id="c2", image_id="other", state=ContainerState.EXITED, exit_code=1)
    await watch.refresh()
    wanted = WantedService(WEB, "h", "i")
    assert await waiting(engine, watch, fits=wanted.fits) is Readiness.HEALTHY
