"""How long people wait for what the bot does by the clock: literals here, and time that passes shows that they hold."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from roas import discord_bot
from roas.app import maintenance
from roas.cogs.known_versions import TtlCache
from roas.concurrency import end_tasks
from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.errors import EngineUnavailableError, ServiceFailedError
from roas.events import EventBus
from roas.health.probes import ProbeLoop
from roas.health.stack_watch import StackWatch
from roas.health.verdicts import RestartHistory
from roas.limits import PATIENTLY, Backoffs
from roas.metrics.integration_monitor import IntegrationMeasurements
from roas.models.deployment import Deployment, Outcome
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.recovery import Fault, FaultCategory, RecoveryAction, RecoveryStep
from roas.models.stack import ServiceDefinition, ServiceProbe
from roas.recovery.attempts import RecoveryAttempts
from roas.recovery.handler import ErrorHandler, RecoveryParts
from roas.recovery.restart import settle
from roas.recovery.swarm_recovery import wait_for_tasks
from roas.stack.containers import service_creation
from roas.stack.containers.service_creation import ServiceCreator
from roas.stack.containers.watch import ContainerWatch
from roas.stack.interface import ContainerEvent
from roas.state.manager import StateManager
from roas.state.redis_sync import DataSyncManager, RedisUnavailableError
from tests.unit.deploy.fake_engine import STARTING, FakeEngine
from tests.unit.deploy.played_parts import components_over, service
from tests.unit.deploy.requested import DORA, deploy
from tests.unit.deploy.virtual_time import VirtualLoop
from tests.unit.one_stack import OneStack
from tests.unit.recovery.played_checks import played_checks
from tests.unit.recovery.test_error_handler import FAULT, Scene
from tests.unit.recovery.test_swarm_recovery import Scene as SwarmScene
from tests.unit.sample_events import Work, waited

DEV = Environment("dev", "shop-dev", Path(), (), observation_seconds=0.0)
HOUR = 3600.0
UNSTARTED = ContainerSnapshot("c", "web-1", "web", ContainerState.CREATED, HealthStatus.NONE, "i", "i", "h")


def test_discord_away_for_a_day(loop: VirtualLoop) -> None:
    """Discord counts to 1000 a day; and when it is back, so is the bot within two minutes."""
    tried: list[float] = []

    class Bot:
        async def login(self, _token: str) -> None:
            tried.append(loop.time())
            if loop.time() < began + 24 * HOUR:
                raise OSError("no route to host")

    async def nothing() -> None:
        return

    bot: Any = Bot()
    bot.http = SimpleNamespace(close=nothing, clear=lambda: None)
    began = loop.time()
    loop.run_until_complete(discord_bot._log_in(bot, "token"))
    assert 720 < len(tried) < 1000
    assert 10 < tried[4] - began < 60, "short trouble is soon over, and Discord is not asked at once again and again"
    assert tried[-1] < began + 24 * HOUR + 120


def test_redis_away_for_five_minutes(loop: VirtualLoop, tmp_path: Path) -> None:
    """It is asked some thirty times, and has everything ten seconds after it is back."""
    tried: list[float] = []

    class Sync(DataSyncManager):
        async def _catch_up(self) -> None:
            tried.append(loop.time())
            if loop.time() < began + 300:
                raise RedisUnavailableError("refused")

    async def run() -> None:
        sync = Sync(StateManager(tmp_path), "redis://nowhere", "shop", str)
        await sync.start()
        await asyncio.sleep(300)
        assert 25 < len(tried) < 45
        await asyncio.sleep(11)
        assert sync.statistics.up
        # Then it is looked at once a second: what another process wrote is there by then.
        known = len(tried)
        await asyncio.sleep(60)
        assert 55 <= len(tried) - known <= 62
        await sync.stop()

    began = loop.time()
    loop.run_until_complete(run())


def test_transient_fault_of_a_phase_costs_seconds(loop: VirtualLoop, tmp_path: Path) -> None:
    async def run() -> Deployment:
        engine = FakeEngine({"web": service("web")})
        engine.faults["pull"] = [EngineUnavailableError("away"), EngineUnavailableError("away")]
        async with StateManager(tmp_path) as state:
            orchestrator = DeploymentOrchestrator(components_over(state, EventBus(), engine), {"dev": DEV})
            return await orchestrator.run(deploy())

    began = loop.time()
    ended = loop.run_until_complete(run())
    assert ended.outcome is Outcome.SUCCEEDED
    assert 0.5 < loop.time() - began < 5


def test_cancellation_by_another_process_is_seen_in_seconds(loop: VirtualLoop, tmp_path: Path) -> None:
    """The journal alone tells of it: who waits for a service that never gets ready is not left waiting."""

    async def run() -> tuple[Deployment, float]:
        engine = FakeEngine({"web": service("web")})
        engine.behaviour["v1", "web"] = STARTING
        async with StateManager(tmp_path) as state:
            orchestrator = DeploymentOrchestrator(components_over(state, EventBus(), engine), {"dev": DEV})
            begun = await orchestrator.start(deploy())
            await asyncio.sleep(30)
            asked = loop.time()
            await state.deployments.request_cancel(begun.id, DORA)
            return await orchestrator.wait(begun.id), loop.time() - asked

    ended, seconds = loop.run_until_complete(run())
    assert ended.outcome is Outcome.CANCELLED
    assert seconds < 3


def test_deployment_that_the_journal_stopped_is_resumed(loop: VirtualLoop) -> None:
    """While the disk is full for an hour it is tried now and then; two minutes after that it goes on."""
    backoff, tried = Backoffs(PATIENTLY), [0.0]
    backoff.failed("D")

    async def run() -> None:
        while loop.time() < began + HOUR or backoff.must_wait("D"):
            await asyncio.sleep(1)
            if not backoff.must_wait("D") and loop.time() < began + HOUR:
                tried.append(loop.time())
                backoff.failed("D")

    began = loop.time()
    loop.run_until_complete(run())
    assert 30 < len(tried) < 60
    assert loop.time() < began + HOUR + 121


def test_subscriber_that_hangs_is_given_up(loop: VirtualLoop) -> None:
    """After half a minute it counts as failed, and the next event has its turn; 10,000 of them wait meanwhile."""

    async def run() -> None:
        bus, hangs = EventBus(), asyncio.Event()

        async def hang(_: Work) -> None:
            await hangs.wait()

        subscription = bus.subscribe(Work, hang, name="hangs")
        bus.publish(Work(number=0))
        await asyncio.sleep(29)
        assert subscription.statistics.timed_out == 0
        await asyncio.sleep(2)
        assert subscription.statistics.timed_out == 1
        bus.publish(Work(number=1))
        await asyncio.sleep(0)
        for number in range(10_000):
            bus.publish(Work(number=number))
        assert subscription.statistics.dropped == 0
        bus.publish(Work(number=2))
        assert subscription.statistics.dropped == 1
        hangs.set()
        await bus.close()

    loop.run_until_complete(run())


def test_figures_look_back(loop: VirtualLoop) -> None:
    """A slow event and a slow copy are forgotten after a minute, a slow dependency after a quarter of an hour."""

    async def run() -> None:
        lag = SimpleNamespace(at=loop.time(), seconds=3.0)
        projection: Any = SimpleNamespace(recent=[lag], lag_seconds=0.0)
        bus = EventBus()
        measured = IntegrationMeasurements(bus, projection, clock=loop.time)
        measured.subscribe()

        async def slow(_: Work) -> None:
            await asyncio.sleep(2)

        bus.subscribe(Work, slow, name="slow")
        bus.publish(Work())
        bus.publish(waited("web", 9.0, 10.0))
        await asyncio.sleep(59)
        assert (measured.figures().event_latency_seconds, measured.figures().state_sync_lag_seconds) == (2, 3)
        await asyncio.sleep(4)
        assert (measured.figures().event_latency_seconds, measured.figures().state_sync_lag_seconds) == (None, None)
        await asyncio.sleep(899 - 63)
        assert measured.figures().dependency_share == 0.9
        await asyncio.sleep(2)
        assert measured.figures().dependency_share is None
        await bus.close()

    loop.run_until_complete(run())


@pytest.mark.parametrize(("events", "ratio"), [(19, None), (20, 1.0)])
async def test_error_rate_takes_twenty_events(events: int, ratio: float | None) -> None:
    """One that fails of two is no rate."""
    bus = EventBus()

    async def fail(_: Work) -> None:
        raise RuntimeError

    bus.subscribe(Work, fail, name="fails")
    for number in range(events):
        bus.publish(Work(number=number))
    await bus.drain()
    assert IntegrationMeasurements(bus).figures().error_ratio == ratio
    await bus.close()


def test_restarts_count_for_five_minutes() -> None:
    now = [0.0]
    history = RestartHistory(clock=lambda: now[0])
    container = ContainerSnapshot("c", "web", "web", ContainerState.RUNNING, HealthStatus.NONE, "i", "i", "h", 0)
    before = []
    for at, restarts in ((0.0, 0), (1.0, 4), (299.0, 4), (302.0, 4)):
        now[0] = at
        before.append(history.take([replace(container, restart_count=restarts)])["c"])
    assert before == [0, 0, 0, 4]


def test_probes_are_asked_six_times_a_minute(loop: VirtualLoop) -> None:
    asked: list[float] = []

    class Prober:
        async def probe(self, *_: object) -> bool:
            asked.append(loop.time())
            return answer

    answer = True

    async def definitions() -> dict[str, ServiceDefinition]:
        return {"web": ServiceDefinition("web", "web:v1", "d", probes=(ServiceProbe("tcp://web:1"),))}

    async def run() -> None:
        history: Any = SimpleNamespace(record=lambda *_, **__: False)
        task = asyncio.create_task(ProbeLoop(DEV, Prober(), history, definitions, lambda: None).run())
        await asyncio.sleep(60)
        task.cancel()

    loop.run_until_complete(run())
    assert 6 <= len(asked) <= 7
    answer, asked = False, []
    loop.run_until_complete(run())
    assert len(asked) >= 30, "what does not answer is asked again each second"


@pytest.mark.parametrize(("engine_away", "seconds"), [(False, [2, 2]), (True, [600, 600])])
def test_recovery_waits_between_attempts(
    loop: VirtualLoop, tmp_path: Path, engine_away: bool, seconds: list[int]
) -> None:
    """An attempt shows what it did before the next one is made, and an engine that is away has ten minutes each."""
    made: list[float] = []

    async def run() -> None:
        async with StateManager(tmp_path) as state:
            scene = Scene(state)

            async def fail(_: Fault, __: Environment, action: RecoveryAction) -> str:
                if not made or action is not scene.tried[-1]:
                    made.append(loop.time())
                    scene.tried.append(action)
                if engine_away:
                    raise EngineUnavailableError("The engine is away.")
                return "it ended again"

            scene.handler._try = fail  # type: ignore[method-assign]
            await scene.handler.handle(FAULT, DEV)

    loop.run_until_complete(run())
    assert [after - before for before, after in itertools.pairwise(made)] == pytest.approx(seconds, abs=13)
    assert engine_away or all(after - before > 1 for before, after in itertools.pairwise(made))


def test_step_of_a_recovery_has_a_minute_and_a_half(loop: VirtualLoop, tmp_path: Path) -> None:
    """A container that does not come up in that time leads to the next step, and the alert says so."""
    told: list[str] = []

    class Hanging(FakeEngine):
        hangs = False

        async def check(self, *_: object) -> None:
            if self.hangs:
                await asyncio.Event().wait()

    async def run() -> None:
        async def note(_alert: str, text: str = "", **_: object) -> None:
            told.append(f"{loop.time() - began:.0f} {text}")

        async with StateManager(tmp_path) as state:
            engine = Hanging({"web": service("web")})
            components = components_over(state, EventBus(), engine)
            await DeploymentOrchestrator(components, {"dev": DEV}).run(deploy())
            notes: Any = SimpleNamespace(note=note)
            checks, orchestrator = played_checks(answers=False), cast("Any", None)
            parts = RecoveryParts(engine, components.manager, state, notes, checks, orchestrator)  # type: ignore[arg-type]
            handler = ErrorHandler(parts, attempts=RecoveryAttempts())
            fault = Fault("ALR-1", "dev", "web", FaultCategory.PROCESS, "ended")
            nonlocal began
            began, engine.hangs = loop.time(), True
            await handler._attempt(fault, DEV, RecoveryAction.RESTART)

    began = 0.0
    loop.run_until_complete(run())
    assert told == ["90 restart: it did not recover within 90 s"]


def test_what_no_event_tells_is_seen_in_half_a_minute(loop: VirtualLoop) -> None:
    """What a deployment does to its own services is looked at two seconds later, in one look."""
    looked: list[float] = []

    async def look() -> None:
        looked.append(loop.time() - began)

    class Events(OneStack):
        @asynccontextmanager
        async def events(self, *, since_ns: int) -> AsyncIterator[AsyncIterator[ContainerEvent]]:
            yield self._two()

        async def _two(self) -> AsyncIterator[ContainerEvent]:
            await asyncio.sleep(40)
            for container in ("c1", "c2"):
                yield ContainerEvent("start", container, "web", "shop-dev", {})
            await asyncio.Event().wait()

    async def run() -> None:
        watch = StackWatch(cast("Any", Events()), DEV, look, lambda: None, is_calm=lambda _event: True)
        task = asyncio.create_task(watch.run())
        await asyncio.sleep(80)
        await end_tasks(task)

    began = loop.time()
    loop.run_until_complete(run())
    assert looked == pytest.approx([0, 30, 42, 72], abs=0.1)


@pytest.mark.parametrize(("ends_after", "recovers"), [(1.4, False), (1.6, True)])
def test_restarted_service_without_check_has_to_last(loop: VirtualLoop, ends_after: float, recovers: bool) -> None:
    """One that ends within a second and a half was not brought back, and the next step is tried."""
    definition = service("web", has_health_check=False)

    async def run() -> None:
        engine = FakeEngine({"web": definition})
        engine._created("web", "web:v1")
        engine.become("web", ContainerState.RUNNING, HealthStatus.NONE)
        async with ContainerWatch(cast("Any", engine)) as watch:
            loop.call_later(ends_after, engine.become, "web", ContainerState.EXITED, HealthStatus.NONE)
            await settle(definition, watch)

    if recovers:
        loop.run_until_complete(run())
        return
    with pytest.raises(ServiceFailedError, match="web ended again at once"):
        loop.run_until_complete(run())


def test_tasks_that_swarm_started_again_have_to_last(loop: VirtualLoop, tmp_path: Path) -> None:
    """They run when it is looked first, and four seconds later."""

    async def run() -> float:
        async with StateManager(tmp_path) as state:
            scene = SwarmScene(state, EventBus())
            began = loop.time()
            assert await wait_for_tasks(cast("Any", scene), "web") is None
            return loop.time() - began

    assert loop.run_until_complete(run()) == pytest.approx(4, abs=0.5)


@pytest.mark.parametrize(("age", "waits"), [(0, 15), (12, 3), (60, 0)])
def test_what_others_create_has_a_quarter_of_a_minute_to_start(
    loop: VirtualLoop, monkeypatch: pytest.MonkeyPatch, age: float, waits: float
) -> None:
    """A person's Compose starts in a moment what it has created; one that was killed leaves it as it is."""
    began = datetime.now(UTC)
    made = replace(UNSTARTED, created_at=began - timedelta(seconds=age))

    async def there(*_: object) -> tuple[ContainerSnapshot, ...]:
        return (made,)

    async def now(_: object) -> datetime:
        return began + timedelta(seconds=loop.time() - at)

    monkeypatch.setattr(service_creation, "take_snapshots", there)
    monkeypatch.setattr(service_creation, "engine_time", now)
    creator = ServiceCreator(cast("Any", SimpleNamespace(engine=None, pinned=None)))
    at = loop.time()
    assert loop.run_until_complete(creator._started_by_others("web")) == [made]
    assert loop.time() - at == pytest.approx(waits, abs=0.5)


async def test_attempts_are_kept_for_a_week(tmp_path: Path) -> None:
    assert timedelta(days=7) == maintenance.ATTEMPTS_KEPT
    now = datetime.now(UTC)
    async with StateManager(tmp_path) as state:
        for name, days in (("young", 6.9), ("old", 7.1)):
            at = now - timedelta(days=days)
            await state.recoveries.save(RecoveryStep(name, "A-1", "dev", "web", RecoveryAction.RESTART, at))
        await state.recoveries.prune(now - maintenance.ATTEMPTS_KEPT)
        assert [recovery.id for recovery in await state.recoveries.of("dev", "web", RecoveryAction.RESTART)] == [
            "young"
        ]


def test_suggestions_are_five_seconds_old(loop: VirtualLoop) -> None:
    """Who types a version sees what was there a moment ago."""

    async def run() -> None:
        cache: TtlCache[int] = TtlCache()
        asked: list[float] = []

        async def load() -> int:
            asked.append(loop.time())
            return len(asked)

        for seconds in (0, 4.8, 0.4):
            await asyncio.sleep(seconds)
            await cache.ask("versions", load)
        await asyncio.sleep(0)
        assert len(asked) == 2
        await cache.close()

    loop.run_until_complete(run())
