"""Each figure of the integration is measured from what really happens; its alert fires once and clears."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest
import time_machine

from roas.events import EventBus
from roas.metrics.integration_monitor import (
    LIMITS,
    DeploymentFigures,
    FigureWindows,
    IntegrationFigures,
    IntegrationMeasurements,
    IntegrationMonitor,
    percentile,
)
from roas.models.deployment import Outcome
from roas.models.events import DeploymentEnded, Event, IntegrationDegraded, IntegrationEvent, IntegrationRecovered
from roas.models.stored import new_id
from roas.state.redis_sync import DataSyncManager
from tests.unit.deploy.virtual_time import VirtualLoop, clocks_of
from tests.unit.log_lines import captured_logs
from tests.unit.sample_events import Work, ended, waited

DEGRADED, RECOVERED = IntegrationDegraded, IntegrationRecovered


class Endings:
    """Be the journal's figures of deployments: too few until five have ended."""

    def __init__(self) -> None:
        self.ended: list[bool] = []

    async def refresh(self, event: DeploymentEnded) -> None:
        self.ended.append(event.outcome is Outcome.SUCCEEDED)

    @property
    def success_ratio(self) -> float | None:
        last = self.ended[-20:]
        return sum(last) / len(last) if len(last) >= 5 else None


class Scene:
    """Run a monitor on a real bus and remember what it told."""

    def __init__(self, projection: DataSyncManager | None = None, **windows: float) -> None:
        self.bus = EventBus()
        self.told: list[tuple[type[IntegrationEvent], str]] = []
        self.events: list[IntegrationEvent] = []
        looks_back = FigureWindows(**{"settling_seconds": 0.0, **windows})  # type: ignore[arg-type]
        deployments = cast("DeploymentFigures", Endings())
        clock = asyncio.get_running_loop().time
        self.measurements = IntegrationMeasurements(self.bus, projection, looks_back, clock, deployments)
        self.monitor = IntegrationMonitor(self.bus, self.measurements)

    async def __aenter__(self) -> "Scene":
        self.bus.subscribe(IntegrationEvent, self._hear, name="ear")
        self.monitor.listen()
        await self.monitor.start()
        await self.bus.drain()
        assert self.told == [(RECOVERED, limit.name) for limit in LIMITS], "what an earlier process left is over"
        self.told.clear()
        self.events.clear()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.monitor.close()
        await self.bus.close()

    async def _hear(self, event: IntegrationEvent) -> None:
        self.events.append(event)
        self.told.append((type(event), event.figure))

    def publish(self, event: Event, count: int = 1) -> None:
        for _ in range(count):
            self.bus.publish(replace(event, id=new_id("EVT")))

    async def until(self, *told: tuple[type[IntegrationEvent], str], seconds: float = 60) -> None:
        """Wait until exactly this was told."""
        try:
            async with asyncio.timeout(seconds):
                while self.told != list(told):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        except TimeoutError:
            assert self.told == list(told)


class VirtualTime(asyncio.DefaultEventLoopPolicy):
    """Give each test a loop whose time passes in no time."""

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return VirtualLoop()


@pytest.fixture
def event_loop_policy() -> VirtualTime:
    return VirtualTime()


@pytest.fixture(autouse=True)
async def clocks() -> AsyncIterator[None]:
    with clocks_of(cast("VirtualLoop", asyncio.get_running_loop())):
        yield


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

    subscription = scene.bus.subscribe(Work, slow, name="slow one")
    scene.publish(Work())
    await scene.until((DEGRADED, "event_latency"))
    await scene.bus.drain()
    figures = scene.monitor.figures()
    assert 1.19 <= figures.event_latency_seconds < 12
    assert figures.slowest_subscriber == "slow one"
    await asyncio.sleep(1.2)  # more than one check: still told only once
    assert scene.told == [(DEGRADED, "event_latency")]
    assert scene.events[0].suspect == "slow one"
    await scene.bus.unsubscribe(subscription)
    await scene.until((DEGRADED, "event_latency"), (RECOVERED, "event_latency"))
    assert scene.monitor.figures().event_latency_seconds < 1.0


async def test_start_raises_nothing_and_what_goes_on_does() -> None:
    """Everything begins at once, and is slow for a moment; Redis of the same stack is started, too."""

    async def slow(_: Event) -> None:
        await asyncio.sleep(1.8)

    lag = SimpleNamespace(recent=[], lag_seconds=0.0)
    async with Scene(cast("DataSyncManager", lag), settling_seconds=FigureWindows().settling_seconds) as scene:
        began = asyncio.get_running_loop().time()
        scene.bus.subscribe(Work, slow, name="slow")
        for number in range(5):
            scene.publish(Work(number=number))
        lag.lag_seconds = 9.0
        lag.recent.append(SimpleNamespace(at=began + 9, seconds=9.0))
        await asyncio.sleep(9.5)
        lag.lag_seconds = 0.0
        await asyncio.sleep(70)
        assert degraded(scene) == []
        scene.publish(Work())
        await asyncio.sleep(3)
        assert degraded(scene) == ["event_latency"]
        lag.lag_seconds = 0.6
        await asyncio.sleep(1)
        assert degraded(scene) == ["event_latency", "state_sync_lag"]


def degraded(scene: Scene) -> list[str]:
    return [figure for kind, figure in scene.told if kind is DEGRADED]


async def test_what_hangs_since_the_start_is_told() -> None:
    never = asyncio.Event()

    async def hangs(_: Event) -> None:
        await never.wait()

    async with Scene(settling_seconds=FigureWindows().settling_seconds) as started:
        began = asyncio.get_running_loop().time()
        started.bus.subscribe(Work, hangs, name="hangs")
        started.publish(Work())
        await started.until((DEGRADED, "event_latency"))
        assert 10 < asyncio.get_running_loop().time() - began < 12


async def test_faster_subscriber_clears_latency(short_scene: Scene) -> None:
    async def slow(_: Event) -> None:
        await asyncio.sleep(1.2)

    short_scene.bus.subscribe(Work, slow, name="slow one")
    short_scene.publish(Work())
    await short_scene.until((DEGRADED, "event_latency"), (RECOVERED, "event_latency"))


async def test_failing_subscribers_raise_error_rate(scene: Scene) -> None:
    """Their removal clears the alert."""

    async def works(_: Event) -> None:
        return

    async def fails(event: Work) -> None:
        if event.number % 8 == 0:
            raise ValueError("broken")

    scene.bus.subscribe(Work, works, name="works")
    failing = scene.bus.subscribe(Work, fails, name="fails")
    with captured_logs():  # drawing a traceback takes longer than the work
        for number in range(100):
            scene.publish(Work(number=number))
        await scene.until((DEGRADED, "integration_error_rate"))
    assert scene.events[0].suspect == "fails"
    assert scene.monitor.figures().error_ratio == pytest.approx(0.065, abs=0.006)
    await scene.bus.unsubscribe(failing)
    await scene.until((DEGRADED, "integration_error_rate"), (RECOVERED, "integration_error_rate"))


async def test_failed_deployments_lower_success_rate(scene: Scene) -> None:
    """The alert is cleared once enough deployments succeeded."""
    scene.publish(ended(), 4)
    await scene.bus.drain()
    assert scene.monitor.figures().success_ratio is None, "too few to tell"
    scene.publish(ended(Outcome.ROLLED_BACK))
    await scene.until((DEGRADED, "coordination_success_rate"))
    assert scene.monitor.figures().success_ratio == 0.8
    scene.publish(ended(), 20)
    await scene.until((DEGRADED, "coordination_success_rate"), (RECOVERED, "coordination_success_rate"))


async def test_long_dependency_wait_raises_alert(scene: Scene) -> None:
    """It is raised when the wait takes most of the time allowed."""
    assert scene.monitor.figures().dependency_resolution_seconds is None
    scene.publish(waited("web", 2.5, 10))
    await scene.bus.drain()
    assert scene.monitor.figures().dependency_resolution_seconds == 2.5
    assert scene.monitor.figures().dependency_share == 0.25
    scene.publish(waited("api", 8.5, 10))
    await scene.until((DEGRADED, "dependency_resolution"))
    assert "The worst is dev/api." in scene.events[0].summary
    scene.publish(waited("api", 0.5, 10))
    await scene.until((DEGRADED, "dependency_resolution"), (RECOVERED, "dependency_resolution"))


async def test_figures_that_fail_once_end_no_watch(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    read, faults = scene.monitor.figures, [RuntimeError("planted")]

    def figures() -> IntegrationFigures:
        if faults:
            raise faults.pop()
        return read()

    async def works(_: Event) -> None:
        return

    monkeypatch.setattr(scene.monitor, "figures", figures)
    with captured_logs():
        await asyncio.sleep(5)
    assert not faults
    scene.bus.subscribe(Work, works, name="works")
    scene.publish(ended(Outcome.FAILED), 5)
    await scene.until((DEGRADED, "coordination_success_rate"))


async def test_firing_alert_repeated_until_end(scene: Scene) -> None:
    """It is repeated for a subscriber that could not store it, and so is its end."""

    async def works(_: Event) -> None:
        return

    now = scene.measurements.clock()
    scene.bus.subscribe(Work, works, name="works")
    scene.publish(ended(Outcome.FAILED), 5)
    await scene.until((DEGRADED, "coordination_success_rate"))
    await scene.monitor.stop()
    first = scene.events[0].occurrence
    for seconds, times in ((29, 0), (31, 1), (31, 1)):
        scene.measurements.clock = lambda at=now + seconds: at
        scene.monitor.check()
        await scene.bus.drain()
        assert sum(isinstance(event, DEGRADED) for event in scene.events[1:]) == times
    await scene.bus.drain()
    repeated = [event for event in scene.events[1:] if isinstance(event, DEGRADED)]
    assert [event.occurrence for event in repeated] == [first], "once in half a minute, and known as the same"
    scene.measurements.clock = lambda: now + 590
    scene.events.clear()
    scene.monitor.check()
    await scene.bus.drain()
    assert {type(event) for event in scene.events} == {DEGRADED, RECOVERED}, "the journal may have taken neither yet"
    scene.measurements.clock = lambda: now + 640
    scene.events.clear()
    scene.monitor.check()
    await scene.bus.drain()
    assert [type(event) for event in scene.events] == [DEGRADED], "of what ended long ago nothing is said any more"


async def test_hung_subscriber_raises_latency_and_is_named(scene: Scene) -> None:
    never = asyncio.Event()

    async def hangs(_: Event) -> None:
        await never.wait()

    scene.bus.subscribe(Work, hangs, name="hangs")
    scene.publish(Work())
    await scene.until((DEGRADED, "event_latency"))
    raised = scene.events[0]
    assert raised.title == "Event latency"
    assert "should be at most 1000 ms" in raised.summary
    assert "hangs" in raised.summary


async def test_wall_clock_jump_raises_nothing(scene: Scene) -> None:
    async def works(_: Event) -> None:
        return

    scene.bus.subscribe(Work, works, name="works")
    for hours in (1, -1):
        with time_machine.travel(datetime.now(UTC).timestamp() + hours * 3600, tick=True):
            scene.publish(Work(), 50)
            await asyncio.sleep(0.7)
    assert scene.told == []
    assert scene.monitor.figures().event_latency_seconds < 0.5


@pytest.mark.parametrize(("values", "expected"), [([], None), ([3.0], 3.0), (list(range(1, 101)), 95), ([1, 2], 2)])
def test_percentile_is_one_of_values(values: list[float], expected: float | None) -> None:
    assert percentile(values) == expected
