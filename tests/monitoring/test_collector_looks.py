"""A look that was asked for wakes the watch, so that what it saw first is believed in time."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from bot.events import Event, EventBus
from bot.models.environment import Environment
from bot.models.health import ContainerSnapshot, ContainerState, HealthStatus
from bot.monitoring.collector import MonitoringCollector
from bot.monitoring.health import HealthCoordinator
from bot.monitoring.hysteresis import HysteresisRules

DEV = Environment("dev", "shop-dev", Path(), ())
WEB = ContainerSnapshot("c1", "web", "web", ContainerState.RUNNING, HealthStatus.HEALTHY, "i", "i", "h")


class SilentEngine:
    """Show containers, and lose every event; also knows no release and no figures."""

    def __init__(self) -> None:
        self.shown = (WEB,)

    async def containers(self, environment: Environment) -> tuple[ContainerSnapshot, ...]:
        return self.shown

    @asynccontextmanager
    async def events(self, environment: Environment, *, since_ns: int) -> AsyncIterator[AsyncIterator[object]]:
        async def nothing() -> AsyncIterator[object]:
            await asyncio.Event().wait()
            yield

        yield nothing()

    async def current(self, environment: str) -> None:
        return None

    async def read(self, *_: object) -> Mapping[str, object]:
        return {}


async def test_trouble_that_a_health_check_sees_first_is_told_when_it_has_held_and_not_at_the_next_slow_look() -> None:
    engine, bus, told = SilentEngine(), EventBus(), asyncio.Queue[Event]()
    bus.subscribe("monitoring.health.changed", told.put)
    health = HealthCoordinator(bus, rules=HysteresisRules(worse_after_seconds=0.1))
    collector = MonitoringCollector(engine, engine, engine, bus, health, {"dev": DEV})  # type: ignore[arg-type]
    collector.start()
    try:
        collector.watch(DEV)
        async with asyncio.timeout(10):
            assert (await told.get()).data["new"] == "healthy"
            engine.shown = (replace(WEB, state=ContainerState.EXITED, exit_code=1),)
            bus.publish(Event("monitoring.health_check.start", "test", {"environment": "dev"}))
            assert (await told.get()).data["new"] == "unhealthy"
    finally:
        await collector.close()
        await bus.close()
