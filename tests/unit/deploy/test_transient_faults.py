"""What passes by itself is tried again, within bounds; what does not is told at once."""

import asyncio
import errno
from dataclasses import replace

import pytest

from roas.deploy import engine_absence, phase_failure
from roas.errors import (
    ContainerConflictError,
    ContainerRemovedError,
    EngineError,
    EnginePartAwayError,
    EngineUnavailableError,
    ImageNotFoundError,
    ShortageError,
)
from roas.limits import STANDARD, Retries
from roas.models.deployment import Outcome
from roas.models.health import ContainerState, HealthStatus
from roas.models.phases import PhaseName
from roas.state.manager import StateManager
from tests.unit.deploy.fake_engine import UNHEALTHY, FakeEngine
from tests.unit.deploy.played_parts import service
from tests.unit.deploy.requested import deploy, rollback
from tests.unit.log_lines import captured_logs


class RemovingSlowly(FakeEngine):
    """Remove containers as Docker does: they end first, and that is seen; of the removal no event has come yet."""

    looked = asyncio.Event()

    async def containers(self):
        self.looked.set()
        return await super().containers()

    async def remove(self, container_id, *, grace_seconds=None):
        container = self.running[container_id]
        self.running[container_id] = replace(container, state=ContainerState.EXITED, exit_code=0, restart_policy="no")
        self.looked.clear()
        self.tell(container.service)
        await self.looked.wait()
        await super().remove(container_id, grace_seconds=grace_seconds)


@pytest.mark.parametrize("engine", [RemovingSlowly({"web": service("web", start_first=True, monitor_seconds=0.1)})])
@pytest.mark.usefixtures("hurried_time")
async def test_replaced_container_judges_nothing(orchestrator, engine):
    """Neither a start-first update nor the way back fails by the end of a container that it removed itself."""
    for version in ("v1", "v2", "v3"):
        deployment = await orchestrator.run(deploy(version))
        assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert (await orchestrator.run(rollback())).outcome is Outcome.SUCCEEDED
    assert engine.versions() == {"web": "web:v2"}


class AwayOnce(FakeEngine):
    """Break a connection off once."""

    def __init__(self) -> None:
        super().__init__({"web": service("web")})
        self.broken_off = 0

    async def look_up(self, stack, services):
        self.broken_off += 1
        if self.broken_off == 1:
            raise EngineUnavailableError("the engine broke off")
        return await super().look_up(stack, services)


@pytest.mark.parametrize("engine", [AwayOnce()])
async def test_retry_is_told_in_the_log_alone(orchestrator, engine, capsys):
    """On stdout a command writes its JSON."""
    with captured_logs() as logged:
        assert (await orchestrator.run(deploy("v1"))).outcome is Outcome.SUCCEEDED
    assert engine.broken_off > 1
    told = [(item["error"], item["attempt"]) for item in logged if item["event"] == "a phase is tried again"]
    assert told == [("the engine broke off", 2)]
    assert capsys.readouterr().out == ""


class Away(FakeEngine):
    """Be away once images are pulled, for as long as nobody waits for it."""

    # How often it does not answer whoever looks at the containers; None: preparation has not begun.
    away: int | None = None

    async def look_up(self, stack, services):
        if self.away:
            raise EngineUnavailableError("the engine does not answer")
        return await super().look_up(stack, services)

    async def pull(self, image, services, report):
        if self.away is None:
            self.away = 2
        if self.away:
            raise EngineUnavailableError("the engine does not answer")
        return await super().pull(image, services, report)

    async def containers(self):
        if self.away:
            self.away -= 1
            raise EngineUnavailableError("the engine does not answer")
        return await super().containers()


@pytest.mark.parametrize("engine", [Away({"web": service("web")})])
@pytest.mark.usefixtures("hurried_time")
async def test_phase_waits_for_engine_that_went_away(orchestrator, engine):
    """More often than a phase is tried again: an engine that restarts takes seconds."""
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert deployment.phase(PhaseName.PREPARATION).attempts == 2


class AwayAtStart(FakeEngine):
    """Go away when the first container of a version is started, for more looks than a phase is tried again."""

    going = "v2"
    away = 0

    async def start(self, container_id):
        if self.going in self.running[container_id].image_reference:
            self.going, self.away = "nothing", 30
        if self.away:
            raise EngineUnavailableError("the engine does not answer")
        await super().start(container_id)

    async def containers(self):
        if self.away:
            self.away -= 1
            raise EngineUnavailableError("the engine does not answer")
        return await super().containers()


@pytest.mark.parametrize("engine", [AwayAtStart({"web": service("web")})])
@pytest.mark.parametrize("going_back", [False, True])
@pytest.mark.usefixtures("hurried_time")
async def test_engine_that_goes_away_in_an_act_is_waited_for(orchestrator, engine, monkeypatch, going_back):
    """Whether it was to go forwards or back: an engine that is upgraded is no reason to roll back, or to give up."""
    monkeypatch.setattr(engine_absence, "SOON", Retries(0.01, 0.01))
    engine.going = "nothing"
    await orchestrator.run(deploy("v1"))
    if going_back:
        await orchestrator.run(deploy("v2"))
    engine.going = "v1" if going_back else "v2"
    deployment = await orchestrator.run(rollback() if going_back else deploy("v2"))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert engine.going == "nothing"


async def test_transient_faults_retried(orchestrator, engine):
    engine.faults["look_up"] = [EngineUnavailableError("busy"), EngineUnavailableError("busy")]
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.SUCCEEDED
    assert deployment.phase(PhaseName.PREPARATION).attempts == 3


async def test_container_removed_before_start_created_again(orchestrator, engine):
    """A prune removes a container that was created a moment ago: a rollback by hand creates another one."""
    await orchestrator.run(deploy("v1"))
    await orchestrator.run(deploy("v2"))
    engine.faults["start"] = [ContainerRemovedError("The container c9 was removed before it was started.")]
    deployment = await orchestrator.run(rollback())
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem


@pytest.mark.parametrize("request_", [deploy("v2"), rollback()])
async def test_hands_on_same_containers_tried_again(orchestrator, engine, request_):
    """Somebody's `docker compose up -d` recreates what the bot recreates: both want the same name for a moment."""
    for version in ("v0", "v1"):
        await orchestrator.run(deploy(version))
    engine.faults["create"] = [ContainerConflictError("the container name is already in use")]
    deployment = await orchestrator.run(request_)
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem


async def test_retried_act_writes_intent_again(orchestrator, engine, state):
    engine.faults["create_missing"] = [EngineUnavailableError("busy")]
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.SUCCEEDED
    written = [change.new for change in await state.changes("dev") if change.subject == "store"]
    assert written.count("creating") == 2


async def test_engine_restart_awaited_in_rollback(orchestrator, engine):
    await orchestrator.run(deploy("v1"))
    engine.behaviour["v2", "web"] = UNHEALTHY
    engine.faults["renew"] = [EngineUnavailableError("away"), EngineUnavailableError("away")]
    deployment = await orchestrator.run(deploy("v2"))
    assert deployment.outcome is Outcome.ROLLED_BACK, deployment.problem
    assert engine.versions() == {"store": "store:v1", "web": "web:v1"}


async def test_transient_retries_limited(orchestrator, engine):
    engine.faults["look_up"] = [EngineUnavailableError("busy") for _ in range(9)]
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.FAILED
    assert deployment.phase(PhaseName.PREPARATION).attempts == 1 + STANDARD.policy(PhaseName.PREPARATION).retries


async def test_missing_image_not_retried(orchestrator, engine, state):
    """Nothing is touched then."""
    await orchestrator.run(deploy("v1"))
    engine.calls.clear()
    engine.faults["pull"] = [ImageNotFoundError("web:v9 does not exist")]
    deployment = await orchestrator.run(deploy("v9"))
    assert deployment.outcome is Outcome.FAILED
    assert deployment.phase(PhaseName.PREPARATION).attempts == 1
    assert "create" not in {name for name, _ in engine.calls}
    assert engine.versions()["web"] == "web:v1"


async def test_unhealthy_service_not_retried(orchestrator, engine):
    engine.behaviour["v1", "store"] = UNHEALTHY
    deployment = await orchestrator.run(deploy())
    assert deployment.phase(PhaseName.EXECUTION).attempts == 1
    assert engine.started().count("store") == 1


class AskingTheJournal(FakeEngine):
    """Ask what the journal says at the moment when many containers are made."""

    said: frozenset[str] = frozenset()
    journal: StateManager | None = None

    async def create_missing(self, model_hash, chosen=None, **named):
        assert self.journal is not None
        progress = await self.journal.deployments.progress_under_way(self.environment.name)
        self.said = frozenset(f"{one.service} {one.step}" for one in progress)
        return await super().create_missing(model_hash, chosen, **named)


@pytest.mark.parametrize("engine", [AskingTheJournal({"store": service("store"), "web": service("web")})])
async def test_all_intents_are_written_before_what_is_made_together(orchestrator, engine, state):
    engine.journal = state
    assert (await orchestrator.run(deploy())).outcome is Outcome.SUCCEEDED
    assert engine.said == {"store creating", "web creating"}
    steps = [change.new for change in await state.changes("dev") if change.subject == "web"]
    assert [step for step in steps if step in {"creating", "starting"}] == ["creating", "starting"]


def refused(number: int) -> EngineError:
    """Return the error of a place that has words of its own for what the system refuses."""
    error = EngineError("The file cannot be read.")
    error.__cause__ = OSError(number, "no more")
    return error


@pytest.mark.parametrize(
    "fault",
    [
        EnginePartAwayError("A part of the engine is away: containerd.sock"),
        ShortageError("There are not enough processes or threads."),
        refused(errno.EMFILE),
        RuntimeError("can't start new thread"),
        MemoryError(),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
    ids=lambda fault: type(fault).__name__,
)
@pytest.mark.parametrize("act", ["look_up", "start", "renew"])
async def test_what_passes_is_waited_for(orchestrator, engine, monkeypatch, act, fault):
    """More often than any phase is tried again, forwards and back; nobody is to blame."""
    monkeypatch.setattr(phase_failure, "SOON", Retries(0.0, 0.0))
    await orchestrator.run(deploy("v1"))
    if act == "renew":
        engine.behaviour["v2", "web"] = UNHEALTHY
    engine.faults[act] = [fault] * 20
    deployment = await orchestrator.run(deploy("v2"))
    assert engine.faults[act] == []
    back = act == "renew"
    assert deployment.outcome is (Outcome.ROLLED_BACK if back else Outcome.SUCCEEDED), deployment.problem
    assert engine.versions()["web"] == ("web:v1" if back else "web:v2")
    assert {phase.attempts for phase in deployment.phases} <= {0, 1}


@pytest.mark.usefixtures("hurried_time")
async def test_what_does_not_pass_is_told(orchestrator, engine):
    """After two minutes, in which it was tried again."""
    engine.faults["start"] = [ShortageError("There are not enough processes.") for _ in range(99)]
    deployment = await orchestrator.run(deploy("v1"))
    assert 120 < deployment.phase(PhaseName.EXECUTION).duration_seconds < 150
    assert deployment.problem is not None
    assert deployment.problem.message.startswith("There are not enough processes.")
    assert deployment.problem.service is None


async def test_cancellation_ends_the_wait_for_what_passes(orchestrator, engine):
    met = asyncio.Event()

    class Forever(list):
        def pop(self, _index):
            met.set()
            return self[0]

    engine.faults["look_up"] = Forever([ShortageError("There are not enough processes.")])
    started = await orchestrator.start(deploy("v1"))
    async with asyncio.timeout(30):
        await met.wait()
        await orchestrator.cancel(started.id, started.request.requested_by)
        assert (await orchestrator.wait(started.id)).outcome is Outcome.CANCELLED


@pytest.mark.usefixtures("hurried_time")
async def test_health_check_that_cannot_be_run_blames_nobody(orchestrator, engine, monkeypatch):
    """A part of the engine went away while the release was observed: it is observed again."""
    monkeypatch.setattr(phase_failure, "SOON", Retries(0.01, 0.01))
    looks = 0
    containers = engine.containers

    async def unchecked():
        nonlocal looks
        found = await containers()
        there = [one for one in found if one.service == "web"]
        looks += bool(there)
        if 1 < looks < 12:
            return tuple(
                replace(item, health=HealthStatus.STARTING, unchecked=True) if item in there else item for item in found
            )
        return found

    engine.containers = unchecked
    deployment = await orchestrator.run(deploy("v1"))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
