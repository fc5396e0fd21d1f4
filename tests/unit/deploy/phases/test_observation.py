"""How long a new release is watched, what people see meanwhile, and who ends it early; time passes in no time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from roas.configuration.environments import environments
from roas.configuration.settings import Settings
from roas.configuration.tables import EnvironmentSettings
from roas.deploy.context import observation_seconds
from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.errors import RoasError
from roas.events import EventBus
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest, Operation, Outcome
from roas.models.environment import Environment
from roas.models.health import ContainerState, HealthStatus
from roas.models.phases import PhaseName
from roas.models.stack import ServiceDefinition
from roas.state.deployments.locks import LockHeldError
from roas.state.manager import StateManager
from roas.ui.embeds.live import draw_live
from tests.unit.deploy.fake_engine import STARTING, FakeEngine
from tests.unit.deploy.played_parts import components_over, service
from tests.unit.deploy.requested import DORA, phase_reached
from tests.unit.deploy.virtual_time import VirtualLoop

RUNNING = (ContainerState.RUNNING, HealthStatus.NONE)
DIED = (ContainerState.EXITED, HealthStatus.NONE)


def unchecked(name: str, *needs: str) -> ServiceDefinition:
    return service(name, *needs, has_health_check=False, monitor_seconds=None)


class Prod:
    """An environment with the windows of production, and people who ask for deployments of it."""

    def __init__(self, engine: FakeEngine, state: StateManager, bus: EventBus, folder: Path, told: float | None):
        self.engine, self.state = engine, state
        self.environment = Environment("prod", "shop", folder, (), observation_seconds=told)
        self.orchestrator = DeploymentOrchestrator(components_over(state, bus, engine), {"prod": self.environment})

    async def start(self, version: str, kind: DeploymentKind = DeploymentKind.DEPLOY) -> Deployment:
        """Ask as a person does: see the plan, say yes to it, wait for its start."""
        request = DeploymentRequest("prod", kind, DORA, version=version or None)
        plan = await self.orchestrator.plan(request)
        return await self.orchestrator.start(replace(request, plan_digest=plan.digest))

    async def deploy(self, version: str) -> Deployment:
        return await self.orchestrator.wait((await self.start(version)).id)

    async def watching(self, version: str, kind: DeploymentKind = DeploymentKind.DEPLOY) -> str:
        """Start one, and return its id once it watches its release."""
        started = await self.start(version, kind)
        await phase_reached(self.orchestrator, started.id, PhaseName.VERIFICATION)
        return started.id


@pytest.fixture
def prod(tmp_path: Path) -> Callable[..., object]:
    @asynccontextmanager
    async def opened(*stack: ServiceDefinition, told: float | None = None) -> AsyncIterator[Prod]:
        engine, bus = FakeEngine({item.name: item for item in stack}), EventBus()
        for version in ("v1", "v2", "v3"):
            engine.behaviour |= {(version, item.name): RUNNING for item in stack if not item.has_health_check}
        async with StateManager(tmp_path / "state") as state:
            prod = Prod(engine, state, bus, tmp_path, told)
            yield prod
            await prod.orchestrator.close()
        await bus.close()

    return opened


def run(loop: VirtualLoop, work: Awaitable[None]) -> None:
    loop.run_until_complete(work)


@pytest.mark.parametrize(
    ("kind", "told", "seconds"),
    [
        ({}, {}, {"dev": 2, "staging": 5, "prod": 5}),
        ({"critical": True}, {}, {"dev": 2, "staging": 10, "prod": 10}),
        ({"has_health_check": False}, {}, {"dev": 2, "staging": 30, "prod": 30}),
        ({"has_health_check": False, "critical": True}, {}, {"dev": 2, "staging": 30, "prod": 30}),
        ({"monitor_seconds": 2.0}, {}, {"dev": 2, "staging": 5, "prod": 5}),
        ({"monitor_seconds": 60.0}, {}, {"dev": 60, "staging": 60, "prod": 60}),
        ({}, {"prod": 45.0}, {"dev": 2, "staging": 5, "prod": 45}),
        ({"has_health_check": False}, {"prod": 3.0}, {"dev": 2, "staging": 30, "prod": 3}),
        ({"monitor_seconds": 9.0}, {"prod": 3.0}, {"dev": 9, "staging": 9, "prod": 9}),
        ({"has_health_check": False, "one_shot": True}, {}, {"dev": 0, "staging": 0, "prod": 0}),
        ({"has_health_check": False, "replicas": 0}, {}, {"dev": 0, "staging": 0, "prod": 0}),
    ],
)
def test_window_is_longest_of_what_is_told(
    tmp_path: Path, kind: dict[str, object], told: dict[str, float], seconds: dict[str, float]
) -> None:
    own = {name: EnvironmentSettings(observation_seconds=value) for name, value in told.items()}
    known = environments(Settings(_env_file=None, stack_dir=tmp_path, environments=own))
    definition = ServiceDefinition("web", "i", "h", **({"has_health_check": True} | kind))
    assert {name: observation_seconds(definition, known[name]) for name in known} == seconds


@pytest.mark.parametrize("told", [None, 200.0])
def test_phase_lasts_as_long_as_its_window(loop: VirtualLoop, prod: Callable[..., object], told: float | None) -> None:
    """Also where that is longer than the 180 s that the phase has."""

    async def play() -> None:
        async with prod(unchecked("web"), told=told) as here:
            ended = await here.deploy("v1")
            took = ended.phase(PhaseName.VERIFICATION).duration_seconds
            assert ended.outcome is Outcome.SUCCEEDED, ended.problem
            assert (told or 30) - 1 <= took <= (told or 30) + 2

    run(loop, play())


def test_pause_within_the_window_blames_no_version(loop: VirtualLoop, prod: Callable[..., object]) -> None:
    """An engine checks it again only after its interval: until then nobody knows how it is."""

    async def play() -> None:
        async with prod(service("web"), told=60) as here:
            await here.deploy("v1")
            id_ = await here.watching("v2")
            await asyncio.sleep(15)
            here.engine.become("web", ContainerState.RUNNING, HealthStatus.STARTING)
            await asyncio.sleep(50)
            here.engine.become("web", ContainerState.RUNNING, HealthStatus.HEALTHY)
            ended = await here.orchestrator.wait(id_)
            assert (ended.outcome, here.engine.versions()) == (Outcome.SUCCEEDED, {"web": "web:v2"}), ended.problem
            assert "web failed: somebody else paused it. The release was applied again." in ended.warnings

    run(loop, play())


def test_death_within_the_window_is_the_deployments_failure(loop: VirtualLoop, prod: Callable[..., object]) -> None:
    """It is open until then: lock, outcome, and what its message says at once."""

    async def play() -> None:
        async with prod(unchecked("web")) as here:
            await here.deploy("v1")
            id_ = await here.watching("v2")
            await asyncio.sleep(15)
            watching = await here.state.deployments.get(id_)
            drawn = draw_live(watching).embeds[0].description
            until = watching.services[0].watched_until
            assert f"`web` running, unverified until <t:{int(until.timestamp())}:T>" in drawn
            assert (await here.state.locks.get("prod")).deployment_id == id_
            here.engine.become("web", *DIED)
            ended = await here.orchestrator.wait(id_)
            assert ended.outcome is Outcome.ROLLED_BACK
            assert ended.problem.service == "web"
            assert "until" not in draw_live(ended).embeds[0].description

    run(loop, play())


@pytest.mark.parametrize("has_check", [False, True])
def test_restart_while_others_get_ready_counts(loop: VirtualLoop, prod: Callable[..., object], has_check: bool) -> None:
    """Whatever ended since the first write of the deployment counts, not only what ends while all are watched.

    Nor does it help that it is healthy again in the end.
    """

    async def play() -> None:
        async with prod(service("store") if has_check else unchecked("store"), service("web", "store")) as here:
            await here.deploy("v1")
            here.engine.behaviour["v2", "web"] = STARTING
            started = await here.start("v2")
            await asyncio.sleep(5)
            [store] = [
                container for container in here.engine.running.values() if container.image_reference == "store:v2"
            ]
            health = HealthStatus.STARTING if has_check else HealthStatus.NONE
            here.engine.running[store.id] = replace(store, restart_count=1, health=health)
            here.engine.tell("store")
            await asyncio.sleep(5)
            here.engine.become("web", ContainerState.RUNNING, HealthStatus.HEALTHY)
            if has_check:
                await asyncio.sleep(1)
                here.engine.become("store", ContainerState.RUNNING, HealthStatus.HEALTHY)
            ended = await here.orchestrator.wait(started.id)
            assert ended.outcome is Outcome.ROLLED_BACK
            assert "it restarted while it was observed" in ended.problem.message

    run(loop, play())


def test_newer_deployment_ends_the_watch(loop: VirtualLoop, prod: Callable[..., object]) -> None:
    async def play() -> None:
        async with prod(unchecked("web")) as here:
            await here.deploy("v1")
            id_ = await here.watching("v2")
            await asyncio.sleep(10)
            newer = await here.start("v3")
            ended = await here.orchestrator.wait(id_)
            assert ended.outcome is Outcome.SUCCEEDED
            assert "dora asked for something newer: the watch of web ended 20 s early." in ended.warnings
            last = await here.orchestrator.wait(newer.id)
            assert (last.outcome, last.from_release) == (Outcome.SUCCEEDED, ended.to_release)
            assert here.engine.versions() == {"web": "web:v3"}

    run(loop, play())


@pytest.mark.parametrize("is_planned", [True, False])
def test_operation_on_what_is_watched_keeps_its_release(
    loop: VirtualLoop, prod: Callable[..., object], is_planned: bool
) -> None:
    """Also where nobody was shown a plan: what is restarted is the release that is watched, not the one before."""

    async def play() -> None:
        async with prod(unchecked("web")) as here:
            await here.deploy("v1")
            id_ = await here.watching("v2")
            request = DeploymentRequest("prod", DeploymentKind.DEPLOY, DORA, services=("web",))
            request = replace(request, operation=Operation.RESTART)
            if is_planned:
                request = replace(request, plan_digest=(await here.orchestrator.plan(request)).digest)
            started = await here.orchestrator.start(request)
            watched = await here.orchestrator.wait(id_)
            ended = await here.orchestrator.wait(started.id)
            assert (watched.outcome, ended.outcome) == (Outcome.SUCCEEDED, Outcome.SUCCEEDED), ended.problem
            assert ended.from_release == ended.to_release == watched.to_release
            assert here.engine.versions() == {"web": "web:v2"}

    run(loop, play())


def test_rollback_of_what_is_watched_goes_to_the_release_before(loop: VirtualLoop, prod: Callable[..., object]) -> None:
    async def play() -> None:
        async with prod(unchecked("web")) as here:
            for version in ("v1", "v2"):
                await here.deploy(version)
            await here.watching("v3")
            back = await here.start("", DeploymentKind.ROLLBACK)
            assert (await here.orchestrator.wait(back.id)).outcome is Outcome.SUCCEEDED
            assert here.engine.versions() == {"web": "web:v2"}

    run(loop, play())


def test_plan_that_built_on_a_watched_release_is_void_without_it(
    loop: VirtualLoop, prod: Callable[..., object]
) -> None:
    async def play() -> None:
        async with prod(unchecked("web")) as here:
            await here.deploy("v1")
            id_ = await here.watching("v2")
            request = DeploymentRequest("prod", DeploymentKind.ROLLBACK, DORA)
            plan = await here.orchestrator.plan(request)
            here.engine.become("web", *DIED)
            assert (await here.orchestrator.wait(id_)).outcome is Outcome.ROLLED_BACK
            with pytest.raises(RoasError):
                await here.orchestrator.start(replace(request, plan_digest=plan.digest))

    run(loop, play())


def test_request_of_another_process_ends_the_watch(loop: VirtualLoop, prod: Callable[..., object]) -> None:
    """The journal has it: the process that watches reads it there."""

    async def play() -> None:
        async with prod(unchecked("web")) as here:
            await here.deploy("v1")
            id_ = await here.watching("v2")
            assert (await here.state.deployments.end_watch(id_, DORA)).watch_ended_by == DORA
            began = loop.time()
            assert (await here.orchestrator.wait(id_)).outcome is Outcome.SUCCEEDED
            assert loop.time() - began < 3

    run(loop, play())


def test_deployment_that_does_more_than_watch_is_not_ended(loop: VirtualLoop, prod: Callable[..., object]) -> None:
    async def play() -> None:
        async with prod(unchecked("web")) as here:
            here.engine.hold = asyncio.Event()
            await here.start("v1")
            with pytest.raises(LockHeldError):
                await here.start("v2")
            here.engine.hold.set()

    run(loop, play())
