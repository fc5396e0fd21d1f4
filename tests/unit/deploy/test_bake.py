"""A version bakes after its success: judged on, taken back by itself, and ended by whoever asks for something newer."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from roas.concurrency import pause
from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.events import EventBus
from roas.models.alert import AlertReport, AlertSource, Severity
from roas.models.canary import CanaryPolicy, QueryCheck
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest, Outcome
from roas.models.environment import Environment
from roas.models.health import ContainerState, HealthStatus
from roas.models.rollout import Choice
from roas.state.manager import StateManager
from roas.ui.embeds.live import draw_live
from roas.ui.embeds.outcome import draw_pause
from tests.unit.deploy.fake_engine import FakeEngine
from tests.unit.deploy.played_parts import components_over, service
from tests.unit.deploy.requested import ANNA, DORA
from tests.unit.deploy.virtual_time import VirtualLoop

BAKE = 150.0
CANARY = CanaryPolicy(
    shares=(50,),
    pause_seconds=80.0,
    deadline_seconds=160.0,
    errors=None,
    queries=(QueryCheck("latency", below=0.3),),
    is_weighed=False,
    bake_seconds=BAKE,
)


@dataclass
class Scene:
    """A stack whose service has a canary by a query, a Prometheus that a test answers for, and people."""

    folder: Path
    engine: FakeEngine = field(
        default_factory=lambda: FakeEngine(
            {"web": service("web", start_first=True, canary=CANARY), "store": service("store")}
        )
    )
    value: float | None = 0.1
    values: dict[str, float | None] = field(default_factory=dict)
    recoveries_stopped: int = 0

    @asynccontextmanager
    async def bot(self, state: StateManager) -> AsyncIterator[DeploymentOrchestrator]:
        async def read(query: str) -> float | None:
            return self.values.get(query, self.value)

        async def stop(_environment: Environment) -> None:
            self.recoveries_stopped += 1

        parts = replace(components_over(state, EventBus(), self.engine), read_figure=read, stop_recovery=stop)
        environment = Environment("prod", "shop", self.folder, (), observation_seconds=5.0)
        orchestrator = DeploymentOrchestrator(parts, {"prod": environment})
        try:
            yield orchestrator
        finally:
            await orchestrator.close()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[tuple[DeploymentOrchestrator, StateManager]]:
        async with StateManager(self.folder / "state") as state, self.bot(state) as bot:
            assert (await bot.run(asked("v1"))).outcome is Outcome.SUCCEEDED
            yield bot, state


def asked(version: str | None, kind: DeploymentKind = DeploymentKind.DEPLOY) -> DeploymentRequest:
    return DeploymentRequest("prod", kind, DORA, version=version, reason="night")


async def until(state: StateManager, id_: str, holds: Callable[[Deployment], bool]) -> Deployment:
    async with asyncio.timeout(3 * BAKE):
        while not holds(found := await state.deployments.get(id_)):
            await pause(2)
    return found


async def baking(bot: DeploymentOrchestrator, state: StateManager, version: str = "v2") -> Deployment:
    """Deploy a version, and return it once it bakes."""
    started = await bot.start(asked(version))
    return await until(state, started.id, lambda found: found.bakes_until is not None or found.finished)


@pytest.fixture
def play(loop: VirtualLoop, tmp_path: Path) -> Callable[..., None]:
    def run(script: Callable[[Scene, DeploymentOrchestrator, StateManager], Awaitable[None]]) -> None:
        async def played() -> None:
            scene = Scene(tmp_path)
            async with scene.opened() as (bot, state):
                await script(scene, bot, state)

        loop.run_until_complete(asyncio.wait_for(played(), 50_000))

    return run


def test_good_version_has_baked(play: Callable[..., None]) -> None:
    """Until then it has succeeded for who looks, and is not over: its outcome comes once it has baked."""

    async def script(scene: Scene, bot: DeploymentOrchestrator, state: StateManager) -> None:
        began = asyncio.get_running_loop().time()
        found = await baking(bot, state)
        assert (found.outcome, found.in_bake, scene.engine.versions()) == (
            None,
            {"web"},
            {"web": "web:v2", "store": "store:v2"},
        )
        drawn = draw_live(found).embeds[0].description
        assert f"✅ succeeded, baking until <t:{int(found.bakes_until.timestamp())}:T>" in drawn
        assert "bakes: it goes back by itself where it gets worse, or its alert fires" in drawn
        ended = await bot.wait(found.id)
        assert (ended.outcome, ended.bakes_until) == (Outcome.SUCCEEDED, None), ended.problem
        assert asyncio.get_running_loop().time() - began >= BAKE + 80
        assert "web has baked: `latency` was beyond its limit in 0 of " in ended.phases[4].summary
        assert ended.warnings == ()

    play(script)


def test_version_that_gets_worse_goes_back(play: Callable[..., None]) -> None:
    async def script(scene: Scene, bot: DeploymentOrchestrator, state: StateManager) -> None:
        found = await baking(bot, state)
        await asyncio.sleep(20)
        scene.value = 0.9
        ended = await bot.wait(found.id)
        assert (ended.outcome, scene.engine.versions()["web"]) == (Outcome.ROLLED_BACK, "web:v1")
        assert "it got worse while it baked: `latency` was beyond its limit in " in ended.problem.message

    play(script)


@pytest.mark.parametrize(
    ("changes", "goes_back"),
    [
        ({}, True),
        ({"source": AlertSource.HEALTH}, True),
        ({"severity": Severity.WARNING}, False),
        ({"service": "store"}, False),
        ({"environment": "staging"}, False),
    ],
)
def test_own_alert_takes_it_back(play: Callable[..., None], changes: dict[str, object], goes_back: bool) -> None:
    """An urgent one about the very service; nobody wants to lose a release by what another one does."""

    async def script(scene: Scene, bot: DeploymentOrchestrator, state: StateManager) -> None:
        found = await baking(bot, state)
        report = AlertReport("f1", AlertSource.ALERTMANAGER, Severity.HIGH, "Cart is empty", "", "prod", "web")
        await state.alerts.take([replace(report, **changes)])
        ended = await bot.wait(found.id)
        assert ended.outcome is (Outcome.ROLLED_BACK if goes_back else Outcome.SUCCEEDED)
        if goes_back:
            assert "an alert fired while it baked: Cart is empty" in ended.problem.message

    play(script)


def test_alert_of_before_says_nothing(play: Callable[..., None]) -> None:
    """It fired before the version was there; a silenced one is somebody's who knows of it."""

    async def script(scene: Scene, bot: DeploymentOrchestrator, state: StateManager) -> None:
        report = AlertReport("f1", AlertSource.ALERTMANAGER, Severity.HIGH, "Cart is empty", "", "prod", "web")
        await state.alerts.take([report])
        await asyncio.sleep(60)
        found = await baking(bot, state)
        assert (await bot.wait(found.id)).outcome is Outcome.SUCCEEDED

    play(script)


def test_alert_of_the_old_version_does_not_take_the_new_one_back(play: Callable[..., None]) -> None:
    """It fired while the deployment waited for its approval: what is deployed may be what ends it."""

    async def script(scene: Scene, bot: DeploymentOrchestrator, state: StateManager) -> None:
        waiting = await bot.run(replace(asked("v2"), needs_approval=True))
        assert waiting.awaits_approval
        await asyncio.sleep(3600)
        report = AlertReport("f1", AlertSource.ALERTMANAGER, Severity.HIGH, "Cart is empty", "", "prod", "web")
        await state.alerts.take([report])
        await asyncio.sleep(300)
        await bot.approve(waiting.id, ANNA)
        ended = await bot.wait(waiting.id)
        assert (ended.outcome, ended.in_bake) == (Outcome.SUCCEEDED, frozenset()), ended.problem

    play(script)


def test_alert_of_its_canary_takes_it_back(play: Callable[..., None]) -> None:
    """What fired while the new version had a part of the requests is its own."""

    async def script(scene: Scene, bot: DeploymentOrchestrator, state: StateManager) -> None:
        started = await bot.start(asked("v2"))
        await until(state, started.id, lambda it: bool(it.in_canary))
        report = AlertReport("f1", AlertSource.ALERTMANAGER, Severity.HIGH, "Cart is empty", "", "prod", "web")
        await state.alerts.take([report])
        ended = await bot.wait(started.id)
        assert ended.outcome is Outcome.ROLLED_BACK
        assert "an alert fired while it baked: Cart is empty" in ended.problem.message

    play(script)


API = replace(CANARY, queries=(QueryCheck("errors", below=0.3),), bake_seconds=3 * BAKE)


@pytest.mark.parametrize("is_good", [True, False])
def test_one_that_asks_lets_the_others_bake(play: Callable[..., None], is_good: bool) -> None:
    """A person may look in the morning: until then, nobody would take the others back."""

    async def script(scene: Scene, bot: DeploymentOrchestrator, state: StateManager) -> None:
        scene.engine.stack["api"] = service("api", start_first=True, canary=API)
        await bot.run(asked("v1"))
        found = await baking(bot, state)
        scene.values["latency"] = None
        await asyncio.sleep(1.5 * BAKE)
        assert (await state.deployments.get(found.id)).waits_in is None
        if not is_good:
            report = AlertReport("f1", AlertSource.ALERTMANAGER, Severity.HIGH, "Cart is empty", "", "prod", "api")
            await state.alerts.take([report])
            assert (await bot.wait(found.id)).outcome is Outcome.ROLLED_BACK
            return
        asks = await until(state, found.id, lambda it: it.waits_in is not None)
        assert (asks.pause.service, asks.in_bake) == ("web", {"web"})
        holding = await state.deployments.holding("prod")
        assert not holding.holds("web"), "nobody watches it for this deployment: who crashes now is recovered"
        await bot.decide(found.id, Choice.GO_ON, DORA)
        assert (await bot.wait(found.id)).outcome is Outcome.SUCCEEDED

    play(script)


@pytest.mark.parametrize("is_good", [True, False])
def test_canary_that_asks_lets_the_others_be_judged(play: Callable[..., None], is_good: bool) -> None:
    """Else users would meet a bad version of another service until a person looks."""

    async def script(scene: Scene, bot: DeploymentOrchestrator, state: StateManager) -> None:
        slow = replace(API, pause_seconds=180.0, deadline_seconds=240.0, bake_seconds=0.0)
        quick = replace(CANARY, pause_seconds=40.0, deadline_seconds=60.0)
        scene.engine.stack["api"] = service("api", start_first=True, canary=slow)
        scene.engine.stack["web"] = service("web", start_first=True, canary=quick)
        await bot.run(asked("v1"))
        scene.values["latency"] = None
        started = await bot.start(asked("v2"))
        await until(state, started.id, lambda it: it.in_canary == {"api", "web"})
        await asyncio.sleep(100)
        assert (await state.deployments.get(started.id)).pause is None
        if not is_good:
            scene.values["errors"] = 0.9
            ended = await bot.wait(started.id)
            assert (ended.outcome, ended.problem.service) == (Outcome.ROLLED_BACK, "api")
            return
        asks = await until(state, started.id, lambda it: it.waits_in is not None)
        assert (asks.pause.service, asks.in_canary) == ("web", {"web"})
        assert "The canary of web is inconclusive in step 1 of 1" in asks.pause.message
        await bot.decide(started.id, Choice.GO_ON, DORA)
        assert (await until(state, started.id, lambda it: it.bakes_until is not None or it.finished)).in_bake == {"web"}

    play(script)


def test_container_that_dies_takes_it_back(play: Callable[..., None]) -> None:
    async def script(scene: Scene, bot: DeploymentOrchestrator, state: StateManager) -> None:
        found = await baking(bot, state)
        await asyncio.sleep(100)
        scene.engine.become("web", ContainerState.EXITED, HealthStatus.NONE)
        assert (await bot.wait(found.id)).outcome is Outcome.ROLLED_BACK
        assert scene.engine.versions()["web"] == "web:v1"

    play(script)


@pytest.mark.parametrize(
    ("choice", "outcome"), [(Choice.GO_ON, Outcome.SUCCEEDED), (Choice.ROLL_BACK, Outcome.ROLLED_BACK)]
)
def test_bake_that_tells_nothing_asks(play: Callable[..., None], choice: Choice, outcome: Outcome) -> None:
    """Prometheus is away: no release goes for that, and none stays unseen."""

    async def script(scene: Scene, bot: DeploymentOrchestrator, state: StateManager) -> None:
        found = await baking(bot, state)
        scene.value = None
        asks = await until(state, found.id, lambda it: it.pause is not None)
        assert asks.pause.message.startswith("The bake of web is inconclusive: `latency` was beyond its limit in 0 of")
        drawn = draw_pause(asks, asks.pause)
        assert "*Promote* keeps it" in drawn.embeds[0].description
        assert len(drawn.buttons) == 3
        await bot.decide(found.id, Choice.OBSERVE, DORA)
        asks = await until(state, found.id, lambda it: len(it.pauses) == 2 and it.waits_in is not None)
        await bot.decide(found.id, choice, DORA)
        assert (await bot.wait(found.id)).outcome is outcome
        assert scene.engine.versions()["web"] == ("web:v2" if outcome is Outcome.SUCCEEDED else "web:v1")

    play(script)


def test_prometheus_that_went_away_lets_nothing_pass(play: Callable[..., None]) -> None:
    """What it told in the first minutes is not what the bake was for."""

    async def script(scene: Scene, bot: DeploymentOrchestrator, state: StateManager) -> None:
        found = await baking(bot, state)
        await asyncio.sleep(76)
        scene.value = None
        asks = await until(state, found.id, lambda it: it.pause is not None or it.finished)
        assert asks.pause.message == "The bake of web is inconclusive: Prometheus has no value of `latency` any more."

    play(script)


def test_newer_deployment_ends_it(play: Callable[..., None]) -> None:
    """Its plan says so, and the outcome by how much too early."""

    async def script(scene: Scene, bot: DeploymentOrchestrator, state: StateManager) -> None:
        found = await baking(bot, state)
        await asyncio.sleep(60)
        plan = await bot.plan(asked("v3"))
        assert f"{found.id} bakes web: this ends that, and keeps its release." in plan.warnings
        newer = await bot.start(asked("v3"))
        ended = await bot.wait(found.id)
        assert (ended.outcome, ended.in_bake) == (Outcome.SUCCEEDED, frozenset())
        (warning,) = ended.warnings
        assert re.fullmatch(r"dora asked for something newer: the bake of web ended [89]\d s early\.", warning)
        assert (await bot.wait(newer.id)).outcome is Outcome.SUCCEEDED

    play(script)


@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize("kind", [DeploymentKind.ROLLBACK, DeploymentKind.HOTFIX])
def test_rollback_and_hotfix_end_it_at_once(play: Callable[..., None], kind: DeploymentKind, asks: bool) -> None:
    """Also where it waits for a person: that is what a person says."""

    async def script(scene: Scene, bot: DeploymentOrchestrator, state: StateManager) -> None:
        found = await baking(bot, state)
        if asks:
            scene.value = None
            await until(state, found.id, lambda it: it.waits_in is not None)
        began = asyncio.get_running_loop().time()
        started = await bot.start(asked(None if kind is DeploymentKind.ROLLBACK else "v3", kind))
        ended = await bot.wait(started.id)
        assert asyncio.get_running_loop().time() - began < 60
        assert scene.engine.versions()["web"] == ("web:v1" if kind is DeploymentKind.ROLLBACK else "web:v3")
        assert ended.outcome in {Outcome.SUCCEEDED, Outcome.CANCELLED}

    play(script)


def test_environment_is_looked_after_meanwhile(play: Callable[..., None]) -> None:
    """Only what bakes is the deployment's own."""

    async def script(scene: Scene, bot: DeploymentOrchestrator, state: StateManager) -> None:
        found = await baking(bot, state)
        await asyncio.sleep(30)
        holding = await state.deployments.holding("prod")
        assert (holding.holds("web"), holding.holds("store")) == (True, False)
        stopped = scene.recoveries_stopped
        await bot.wait(found.id)
        assert scene.recoveries_stopped > stopped, "whatever is being recovered would be in its way"

    play(script)


def test_bake_survives_its_process(loop: VirtualLoop, tmp_path: Path) -> None:
    """The next one goes on with what was counted; time in which nobody judged does not count."""

    async def played() -> None:
        scene = Scene(tmp_path)
        async with StateManager(tmp_path / "state") as state:
            async with scene.bot(state) as bot:
                await bot.run(asked("v1"))
                found = await baking(bot, state)
                await asyncio.sleep(100)
            left = await state.deployments.get(found.id)
            canary = next(item.rollout.canary for item in left.services if item.service == "web")
            assert 80 < canary.seconds <= 105
            await asyncio.sleep(3600)
            async with scene.bot(state) as bot:
                began = asyncio.get_running_loop().time()
                (resumed,) = await bot.resume()
                ended = await bot.wait(resumed.id)
                assert ended.outcome is Outcome.SUCCEEDED, ended.problem
                assert 45 < asyncio.get_running_loop().time() - began < 90

    loop.run_until_complete(asyncio.wait_for(played(), 50_000))


def test_hotfix_does_not_bake(play: Callable[..., None]) -> None:
    async def script(scene: Scene, bot: DeploymentOrchestrator, state: StateManager) -> None:
        ended = await bot.run(asked("v2", DeploymentKind.HOTFIX))
        assert (ended.outcome, ended.in_bake) == (Outcome.SUCCEEDED, frozenset())

    play(script)
