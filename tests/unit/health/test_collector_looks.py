"""A look that was asked for wakes the watch, so that what it saw first is believed in time."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from roas.errors import EngineUnavailableError
from roas.events import EventBus
from roas.health.collector import MonitoringCollector, StackSources
from roas.health.coordinator import HealthCoordinator
from roas.health.verdicts import HysteresisRules
from roas.models.environment import Environment
from roas.models.events import HealthChecked, HealthCheckRequested, ServiceHealthChanged
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from tests.unit.one_stack import OneStack
from tests.unit.sample_events import look

DEV = Environment("dev", "shop-dev", Path(), ())
WEB = ContainerSnapshot("c1", "web", "web", ContainerState.RUNNING, HealthStatus.HEALTHY, "i", "i", "h")


class SilentEngine(OneStack):
    """Show containers, and lose every event; also knows no release and no figures."""

    def __init__(self) -> None:
        self.shown = (WEB,)
        self.fault: EngineUnavailableError | None = None

    async def containers(self) -> tuple[ContainerSnapshot, ...]:
        if self.fault is not None:
            raise self.fault
        return self.shown

    @asynccontextmanager
    async def events(self, *, since_ns: int) -> AsyncIterator[AsyncIterator[object]]:
        async def nothing() -> AsyncIterator[object]:
            await asyncio.Event().wait()
            yield

        yield nothing()

    async def applied(self, environment: str) -> None:
        return None

    async def holding(self, environment: str) -> None:
        return None

    async def read(self, *_: object) -> Mapping[str, object]:
        return {}


class Scene:
    """Watch a stack of which no event is heard, and hear what is announced of it."""

    def __init__(self, **options: Any) -> None:
        self.engine, self.bus, self.told = SilentEngine(), EventBus(), asyncio.Queue[ServiceHealthChanged]()
        self.bus.subscribe(ServiceHealthChanged, self.told.put)
        health = HealthCoordinator(self.bus, rules=HysteresisRules(worse_after_seconds=0.1))
        own = self.engine
        self.collector = MonitoringCollector(
            StackSources(own, own, own, own), self.bus, health, {"dev": DEV}, **options
        )  # type: ignore[arg-type]
        self.collector.start()
        self.collector.watch(DEV)

    def break_unheard(self) -> None:
        self.engine.shown = (replace(WEB, state=ContainerState.EXITED, exit_code=1),)

    async def next_verdict(self) -> object:
        async with asyncio.timeout(10):
            return (await self.told.get()).new

    async def close(self) -> None:
        await self.collector.close()
        await self.bus.close()


async def test_requested_check_reports_failure_in_time() -> None:
    """What a requested check saw first is announced when it has held, not at the next slow poll."""
    scene = Scene()
    assert await scene.next_verdict() == "healthy"
    scene.break_unheard()
    scene.bus.publish(look())
    assert await scene.next_verdict() == "unhealthy"
    await scene.close()


async def test_slow_poll_finds_death_without_event() -> None:
    scene = Scene(reconcile_seconds=0.2)
    assert await scene.next_verdict() == "healthy"
    scene.break_unheard()
    assert await scene.next_verdict() == "unhealthy"
    await scene.close()


class HangingEngine(SilentEngine):
    """Answer about `dev` alone."""

    async def containers(self) -> tuple[ContainerSnapshot, ...]:
        return self.shown if self.environment is DEV else await asyncio.get_running_loop().create_future()


async def test_requested_check_waits_for_no_other_engine() -> None:
    """A deployment's end, or a recovery's, is looked at although another environment's engine hangs."""
    engine, bus, checked = HangingEngine(), EventBus(), asyncio.Queue[HealthChecked]()
    environments = {"hung": replace(DEV, name="hung"), "dev": DEV}
    collector = MonitoringCollector(
        StackSources(engine, engine, engine, engine), bus, HealthCoordinator(bus), environments
    )  # type: ignore[arg-type]
    collector.start()
    bus.subscribe(HealthChecked, checked.put)
    bus.publish(HealthCheckRequested(environment="hung", source="test"))
    bus.publish(look())
    async with asyncio.timeout(10):
        assert (await checked.get()).environment == "dev"
    await collector.close()
    await bus.close()


class Deploying:
    """Have a deployment change some services."""

    def __init__(self, *services: str) -> None:
        self.services = frozenset(services)

    async def owned(self, _environment: Environment) -> frozenset[str]:
        return self.services

    async def observed(self, *_: object) -> None:
        """Raise no alerts."""


@pytest.mark.parametrize("on_swarm", [True, False])
async def test_swarm_that_answers_nothing_is_shown_as_it_was(on_swarm: bool) -> None:
    """On one machine nothing else can be known than that the engine is away."""
    scene = Scene()
    scene.engine.needs_quorum = on_swarm
    try:
        known = await scene.collector.collect_all_metrics(DEV)
        scene.engine.fault = EngineUnavailableError("The Swarm has no leader")
        shown = await scene.collector.collect_all_metrics(DEV)
        assert (shown.fault, shown.remembered) == ("The Swarm has no leader", on_swarm)
        if shown.remembered:
            assert (shown.services, shown.taken_at) == (known.services, known.taken_at)
        scene.engine.fault = None
        assert not (await scene.collector.collect_all_metrics(DEV)).remembered
    finally:
        await scene.close()
