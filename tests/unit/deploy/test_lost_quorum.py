"""What fails while a Swarm has no quorum is done anew once there is one, in whatever way it failed."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from roas.deploy import engine_absence
from roas.errors import NoQuorumError, RoasError, ServiceFailedError
from roas.limits import COORDINATIONS, ROLLBACK_RETRIES, STANDARD
from roas.models.check import CheckResult, CheckSeverity, ValidationReport
from roas.models.deployment import DeploymentKind, Outcome, PhaseStatus
from roas.models.environment import EngineKind, Environment
from roas.models.events import PhaseChanged
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.swarm import Absence, QuorumLosses, SwarmFacts
from tests.unit.deploy.fake_engine import HEALTHY, UNHEALTHY
from tests.unit.deploy.played_parts import Approving, service
from tests.unit.deploy.requested import deploy, hotfix
from tests.unit.deploy.swarming import TIMES, Swarming, managers


class Judging(Approving):
    """Find that there is no quorum, as the check of the managers does, for as long as there is none."""

    engine: Swarming

    async def validate(self, environment, version=None, *, model_hash=None, found=None) -> ValidationReport:
        if not self.engine.left:
            return ValidationReport(environment.name, ())
        self.engine.left -= 1
        self.engine.lost()
        found = (
            CheckResult("swarm_managers", CheckSeverity.CRITICAL, False, "1 of 3 managers can be reached."),
            CheckResult("swarm_nodes", CheckSeverity.WARNING, False, "This could not be checked."),
        )
        return ValidationReport(environment.name, found)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(_seconds: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(engine_absence, "pause", at_once)


@pytest.fixture
def engine() -> Swarming:
    return Swarming({"store": service("store"), "web": service("web", "store")})


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment("dev", "shop-dev", tmp_path, (), observation_seconds=0.0, engine=EngineKind.SWARM)


@pytest.mark.parametrize("call", ["adopt", "look_up", "create_missing", "wanted_services", "clear_unused"])
async def test_each_phase_goes_on(orchestrator, engine, call: str) -> None:
    """Whatever is asked in vain, and however often: the wait is none of the phase's retries."""
    engine.lose(call)
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert {phase.attempts for phase in deployment.phases} == {1}
    assert not engine.left


async def test_hotfix_without_retries_goes_on(orchestrator, engine) -> None:
    await orchestrator.run(deploy("v1"))
    engine.lose("look_up")
    deployment = await orchestrator.run(hotfix("v2"))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert not engine.left


async def test_check_that_fails_for_it_is_run_again(orchestrator, engine, components) -> None:
    """What it warned of then is past."""
    judging = Judging()
    judging.engine = engine
    engine.left = TIMES
    orchestrator._components = replace(components, validator=judging)
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert deployment.warnings == ()


class Dying(Swarming):
    """Lose the tasks of web together with the managers, when the release is verified; they run again a while later."""

    fault: RoasError = NoQuorumError("The Swarm has no leader.")

    def _called(self, name: str, subject: str = "") -> None:
        super()._called(name, subject)
        if name == "wanted_services" and self.left and "web" in self.versions():
            self.left -= 1
            self.lost()
            self.become("web", ContainerState.RESTARTING, HealthStatus.NONE)
            raise self.fault

    async def swarm(self) -> SwarmFacts:
        if self.looks_away == 1:
            asyncio.get_running_loop().call_later(0.1, self.become, "web", *HEALTHY)
        return await super().swarm()


@pytest.mark.parametrize("fault", [NoQuorumError("no leader"), ServiceFailedError("web failed: it is in a loop.")])
@pytest.mark.parametrize("engine", [Dying({"store": service("store"), "web": service("web", "store")})])
@pytest.mark.usefixtures("hurried_time")
async def test_tasks_that_died_with_it_get_ready_again(orchestrator, engine, fault: RoasError) -> None:
    engine.fault, engine.left, engine.running = fault, 1, {}
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert not engine.left


async def test_way_back_goes_on(orchestrator, engine) -> None:
    await orchestrator.run(deploy("v1"))
    engine.behaviour["v2", "web"] = UNHEALTHY
    engine.lose("renew", ROLLBACK_RETRIES + 2)
    deployment = await orchestrator.run(deploy("v2"))
    assert deployment.outcome is Outcome.ROLLED_BACK, deployment.problem
    assert engine.versions() == {"store": "store:v1", "web": "web:v1"}


async def test_what_fails_with_a_quorum_has_failed(orchestrator, engine) -> None:
    """One that was away, and is back, excuses nothing that comes later."""
    await orchestrator.run(deploy("v1"))
    engine.lose("look_up")
    engine.behaviour["v2", "web"] = UNHEALTHY
    engine.calls.clear()
    deployment = await orchestrator.run(deploy("v2"))
    assert deployment.outcome is Outcome.ROLLED_BACK
    assert engine.started().count("web") == 2


async def test_quorum_lost_again_and_again_ends(orchestrator, engine) -> None:
    engine.lose("look_up", 1000)
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.FAILED
    assert deployment.problem.key == "engine_unavailable"


class Hanging(Swarming):
    """Hang for longer than any phase may take while there is no quorum."""

    async def look_up(self, stack, services):
        found = await super().look_up(stack, services)
        if self.left:
            self.left -= 1
            self.lost()
            await asyncio.Event().wait()
        return found


@pytest.mark.parametrize("engine", [Hanging({"web": service("web")})])
async def test_time_that_passed_without_it_begins_anew(orchestrator, engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.left = 2
    short = tuple(replace(phase, timeout_seconds=1.0) for phase in STANDARD.phases)
    monkeypatch.setitem(COORDINATIONS, DeploymentKind.DEPLOY, replace(STANDARD, phases=short))
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert not engine.left


@pytest.mark.parametrize(
    ("facts", "settled"),
    [
        (managers(3), True),
        (managers(2, states=("ready", "ready", "down")), True),
        (managers(3, states=("ready", "ready", "down")), False),
        (managers(2, states=("ready", "ready", "unknown")), False),
        (replace(managers(3), nodes=tuple(replace(node, is_leader=False) for node in managers(3).nodes)), False),
    ],
)
def test_swarm_is_settled_once_its_leader_knows_each_node(facts: SwarmFacts, settled: bool) -> None:
    assert facts.is_settled is settled


class Bearing(Swarming):
    """Lose the quorum while a service is written: whoever writes waits, and goes on when the managers are back.

    Before the first deployment it was away for long: nobody was waiting for it.
    """

    losses = QuorumLosses(7, 700.0)
    fails = False
    hangs = False

    def _called(self, name: str, subject: str = "") -> None:
        super()._called(name, subject)
        if name == "start" and self.left:
            self.lost(self.left)
            self.losses = replace(self.losses, times=self.losses.times - self.hangs)
            self.left = 0
            if self.fails:
                raise ServiceFailedError("web failed: it is in a loop.")


@pytest.mark.parametrize(
    ("seconds", "how", "told"),
    [
        (24, "", ("For at least 24 s nothing was written to the Swarm: no quorum.",)),
        (24, "fails", ("For at least 24 s nothing was written to the Swarm: no quorum.",)),
        (24, "hangs", ("For at least 24 s nothing was written to the Swarm: its manager did not answer.",)),
        (3, "", ()),
    ],
)
@pytest.mark.parametrize("engine", [Bearing({"web": service("web")})])
async def test_absence_is_told_whoever_bore_it(orchestrator, engine, seconds: int, how: str, told) -> None:
    """Also where the phase succeeds, since what writes to a Swarm waits for it by itself."""
    engine.left, engine.fails, engine.hangs, engine.running = seconds, how == "fails", how == "hangs", {}
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert deployment.warnings == told
    again = await orchestrator.run(deploy("v2"))
    assert again.warnings == (), "it was told before"


class Away(Swarming):
    """Have no answer of the managers while networks and secrets are made, until somebody was told of it."""

    def __init__(self, services) -> None:
        super().__init__(services)
        self.told: asyncio.Queue[str] = asyncio.Queue()

    async def create_missing(self, *arguments, **options) -> tuple[ContainerSnapshot, ...]:
        self.losses = QuorumLosses(1, 30.0, away_seconds=30.0)
        await self.hear("waits at most until", "no quorum. More than half of the managers")
        self.losses = QuorumLosses(1, 31.0, 31.0, Absence.NO_MANAGER)
        await self.hear("is no manager. Promote its node")
        self.losses = QuorumLosses(1, 31.0, 31.0, Absence.LOCKED)
        await self.hear("the Swarm is locked. Run `docker swarm unlock`")
        self.losses = QuorumLosses(1, 31.0, absence=Absence.LOCKED)
        await self.hear("")
        return await super().create_missing(*arguments, **options)

    async def hear(self, *parts: str) -> None:
        """Wait until something is told that is of these parts, or is empty."""
        try:
            text = await asyncio.wait_for(self.told.get(), 5.0)
        except TimeoutError as error:
            raise AssertionError("nothing was told") from error
        assert all(part in text for part in parts)
        assert bool(text) is any(parts)


@pytest.mark.parametrize("engine", [Away({"web": service("web")})])
async def test_wait_for_managers_is_told_while_it_lasts(orchestrator, engine, components) -> None:
    """Whoever bears it: until when, and what to do; and that it is over."""
    texts = [""]

    async def note(event: PhaseChanged) -> None:
        if event.status is PhaseStatus.IN_PROGRESS and event.summary != texts[-1]:
            texts.append(event.summary)
            engine.told.put_nowait(event.summary)

    components.bus.subscribe(PhaseChanged, note, name="test")
    engine.running = {}
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert len(texts) == 5
    assert deployment.warnings[0].startswith("For at least 31 s nothing was written to the Swarm: the Swarm is locked")
    assert not any("waits at most" in phase.summary for phase in deployment.phases)
