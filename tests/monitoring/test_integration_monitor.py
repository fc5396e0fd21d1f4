"""Each figure of the integration is measured from what really happens; its alert fires once and clears."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine

from roas.events import Event, EventBus
from roas.models.change import ChangeType, StateChange
from roas.monitoring.integration_figures import IntegrationMeasurements, Windows, percentile
from roas.monitoring.integration_monitor import CLEARED, LIMITS, TRIGGERED, IntegrationMonitor
from roas.state.manager import StateManager
from roas.state.sync import DataSyncManager
from testbed.redis_server import RedisServer
from tests.log_lines import captured_logs


class Scene:
    """Run a monitor on a real bus and remember what it told."""

    def __init__(self, projection: DataSyncManager | None = None, **windows: float) -> None:
        self.bus = EventBus()
        self.told: list[tuple[str, str]] = []
        self.events: list[Event] = []
        self.measurements = IntegrationMeasurements(self.bus, projection, Windows(**windows))  # type: ignore[arg-type]
        self.monitor = IntegrationMonitor(self.bus, self.measurements)

    async def __aenter__(self) -> "Scene":
        self.bus.subscribe("integration.*", self._hear, name="ear")
        self.monitor.listen()
        self.monitor.start()
        await self.bus.drain()
        assert self.told == [(CLEARED, limit.name) for limit in LIMITS], "what an earlier process left is over"
        self.told.clear()
        self.events.clear()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.monitor.close()
        await self.bus.close()

    async def _hear(self, event: Event) -> None:
        self.events.append(event)
        self.told.append((event.type, event.data["name"]))

    def publish(self, event_type: str, count: int = 1, **data: Any) -> None:
        for _ in range(count):
            self.bus.publish(Event(event_type, "test", data))

    async def until(self, *told: tuple[str, str], seconds: float = 8) -> None:
        """Wait until exactly this was told."""
        try:
            async with asyncio.timeout(seconds):
                while self.told != list(told):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        except TimeoutError:
            assert self.told == list(told)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with Scene() as made:
        yield made


@pytest.fixture
async def short_scene() -> AsyncIterator[Scene]:
    async with Scene(event_latency_seconds=1.0, error_seconds=1.0) as made:
        yield made


async def test_slow_subscriber_raises_latency_until_removed(scene: Scene) -> None:
    async def slow(_: Event) -> None:
        await asyncio.sleep(1.2)

    subscription = scene.bus.subscribe("work", slow, name="slow one")
    scene.publish("work")
    await scene.until((TRIGGERED, "event_latency"))
    await scene.bus.drain()
    figures = scene.monitor.figures()
    assert 1.2 <= figures.event_latency_seconds < 1.5
    assert figures.slowest_subscriber == "slow one"
    await asyncio.sleep(1.2)  # more than one check: still told only once
    assert scene.told == [(TRIGGERED, "event_latency")]
    assert scene.events[0].data["suspect"] == "slow one"
    assert scene.events[0].data["severity"] == "high"
    assert scene.events[0].data["firing"] is True
    await scene.bus.unsubscribe(subscription)
    await scene.until((TRIGGERED, "event_latency"), (CLEARED, "event_latency"))
    assert scene.monitor.figures().event_latency_seconds < 0.5


async def test_hung_subscriber_raises_latency(scene: Scene) -> None:
    never = asyncio.Event()

    async def hangs(_: Event) -> None:
        await never.wait()

    scene.bus.subscribe("work", hangs, name="hangs")
    scene.publish("work")
    await scene.until((TRIGGERED, "event_latency"), seconds=3)


async def test_faster_subscriber_clears_latency(short_scene: Scene) -> None:
    async def slow(_: Event) -> None:
        await asyncio.sleep(1.2)

    short_scene.bus.subscribe("work", slow, name="slow one")
    short_scene.publish("work")
    await short_scene.until((TRIGGERED, "event_latency"), (CLEARED, "event_latency"))


async def test_failing_subscribers_raise_error_rate(scene: Scene) -> None:
    """Their removal clears the alert."""

    async def works(_: Event) -> None:
        return

    async def fails(event: Event) -> None:
        if event.data["number"] % 8 == 0:
            raise ValueError("broken")

    scene.bus.subscribe("work", works, name="works")
    failing = scene.bus.subscribe("work", fails, name="fails")
    with captured_logs():  # drawing a traceback takes longer than the work
        for number in range(100):
            scene.publish("work", number=number)
        await scene.until((TRIGGERED, "integration_error_rate"))
    assert scene.events[0].data["suspect"] == "fails"
    assert scene.monitor.figures().error_ratio == pytest.approx(0.065, abs=0.006)
    await scene.bus.unsubscribe(failing)
    await scene.until((TRIGGERED, "integration_error_rate"), (CLEARED, "integration_error_rate"))


async def test_failed_deployments_lower_success_rate(scene: Scene) -> None:
    """The alert is cleared once enough deployments succeeded."""
    done = "deployment.orchestration.completed"
    scene.publish(done, 4, outcome="succeeded")
    scene.publish(done, 3, outcome="cancelled")
    await scene.bus.drain()
    assert scene.monitor.figures().success_ratio is None, "too few to tell"
    scene.publish(done, 1, outcome="rolled_back")
    await scene.until((TRIGGERED, "coordination_success_rate"))
    assert scene.monitor.figures().success_ratio == 0.8
    scene.publish(done, 20, outcome="succeeded")
    await scene.until((TRIGGERED, "coordination_success_rate"), (CLEARED, "coordination_success_rate"))


async def test_long_dependency_wait_raises_alert(scene: Scene) -> None:
    """It is raised when the wait takes most of the time allowed."""
    waited = "deployment.dependencies.resolved"
    assert scene.monitor.figures().dependency_resolution_seconds is None
    scene.publish(waited, environment="dev", service="web", duration_seconds=2.5, allowed_seconds=10)
    await scene.bus.drain()
    assert scene.monitor.figures().dependency_resolution_seconds == 2.5
    assert scene.monitor.figures().dependency_share == 0.25
    scene.publish(waited, environment="dev", service="api", duration_seconds=8.5, allowed_seconds=10)
    await scene.until((TRIGGERED, "dependency_resolution"))
    assert "The worst is dev/api." in scene.events[0].data["summary"]
    scene.publish(waited, environment="dev", service="api", duration_seconds=0.5, allowed_seconds=10)
    await scene.until((TRIGGERED, "dependency_resolution"), (CLEARED, "dependency_resolution"))


async def test_firing_alert_repeated_until_end(scene: Scene) -> None:
    """It is repeated for a subscriber that could not store it, and so is its end."""

    async def works(_: Event) -> None:
        return

    now = scene.measurements.clock()
    scene.bus.subscribe("work", works, name="works")
    scene.publish("deployment.orchestration.completed", 5, outcome="failed")
    await scene.until((TRIGGERED, "coordination_success_rate"))
    await scene.monitor.stop()
    first = scene.events[0].data["occurrence"]
    scene.measurements.clock = lambda: now + 40
    scene.monitor.check()
    scene.monitor.check()
    await scene.bus.drain()
    repeated = [event for event in scene.events[1:] if event.type == TRIGGERED]
    assert [event.data["occurrence"] for event in repeated] == [first], "once in half a minute, and known as the same"
    scene.measurements.clock = lambda: now + 2000
    scene.events.clear()
    scene.monitor.check()
    await scene.bus.drain()
    assert [event.type for event in scene.events] == [TRIGGERED], "of what ended long ago nothing is said any more"


async def test_hung_redis_raises_and_clears_lag(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    with RedisServer(tmp_path / "redis") as server:
        async with StateManager(tmp_path / "state") as state:
            sync = DataSyncManager(state, server.url, "shop", str, poll_seconds=0.1, timeout_seconds=0.5)
            sync.start()
            async with Scene(sync, sync_lag_seconds=1.0) as scene:
                await state.record(StateChange(ChangeType.AUDIT, "test"))
                await asyncio.sleep(0.5)
                assert scene.told == []
                assert scene.monitor.figures().state_sync_lag_seconds < 0.5
                server.freeze()
                await state.record(StateChange(ChangeType.AUDIT, "test"))
                await scene.until((TRIGGERED, "state_sync_lag"), seconds=3)
                server.thaw()
                await scene.until((TRIGGERED, "state_sync_lag"), (CLEARED, "state_sync_lag"))
                server.kill()  # away, and nothing to project: it still tells
                await scene.until(
                    (TRIGGERED, "state_sync_lag"), (CLEARED, "state_sync_lag"), (TRIGGERED, "state_sync_lag")
                )
            await sync.close()


async def test_alert_text_says_what_is_wrong(scene: Scene) -> None:
    never = asyncio.Event()

    async def hangs(_: Event) -> None:
        await never.wait()

    scene.bus.subscribe("work", hangs, name="hangs")
    scene.publish("work")
    await scene.until((TRIGGERED, "event_latency"))
    data = scene.events[0].data
    assert data["title"] == "Event latency is high"
    assert "should be at most 1000 ms" in data["summary"]
    assert "hangs" in data["summary"]


async def test_wall_clock_jump_raises_nothing(scene: Scene) -> None:
    async def works(_: Event) -> None:
        return

    scene.bus.subscribe("work", works, name="works")
    for hours in (1, -1):
        with time_machine.travel(datetime.now(UTC).timestamp() + hours * 3600, tick=True):
            scene.publish("work", 50)
            await asyncio.sleep(0.7)
    assert scene.told == []
    assert scene.monitor.figures().event_latency_seconds < 0.5


@pytest.mark.parametrize(("values", "expected"), [([], None), ([3.0], 3.0), (list(range(1, 101)), 95), ([1, 2], 2)])
def test_percentile_is_one_of_values(values: list[float], expected: float | None) -> None:
    assert percentile(values) == expected
