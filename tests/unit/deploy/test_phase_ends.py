"""How a phase ended is written before anything else happens."""

import asyncio
import re
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from roas.deploy import phase_runner
from roas.deploy.phase_runner import begin_phase
from roas.deploy.phases.execution import Execution
from roas.errors import RolloutPausedError
from roas.models.deployment import Outcome, PhaseResult, PhaseStatus
from roas.models.events import DeploymentStoodStill
from roas.models.phases import PhaseName
from roas.models.rollout import Choice
from roas.state.living_processes import boot_id
from roas.ui.embeds.live import draw_live
from roas.ui.embeds.outcome import draw_outcome
from tests.unit.deploy.fake_engine import FakeEngine
from tests.unit.deploy.played_parts import service
from tests.unit.deploy.requested import DORA, deploy, reached


async def test_phase_that_ended_stays_so_when_the_next_one_could_not_begin(orchestrator, state, monkeypatch):
    """The journal may have taken so long that the time of the next one was over."""
    save = state.deployments.save_phases

    async def take_too_long(deployment, phases, fence):
        if {phase.name for phase in phases} == {PhaseName.VALIDATION}:
            monkeypatch.setattr(state.deployments, "save_phases", save)
            raise TimeoutError
        await save(deployment, phases, fence)

    monkeypatch.setattr(state.deployments, "save_phases", take_too_long)
    deployment = await orchestrator.run(deploy("v1"))
    assert deployment.outcome is Outcome.FAILED
    assert deployment.phase(PhaseName.INITIALIZATION).status is PhaseStatus.SUCCESS
    assert deployment.phase(PhaseName.VALIDATION).status is PhaseStatus.FAILED


async def test_end_of_each_phase_is_written_before_the_outcome(orchestrator, state, monkeypatch):
    """Whoever hears of the outcome finds it all in the journal, and so does whoever resumes in between."""
    finish, written = state.deployments.finish, []

    async def look_and_finish(deployment, *arguments, **named):
        written.append(await state.deployments.get(deployment.id))
        await finish(deployment, *arguments, **named)

    monkeypatch.setattr(state.deployments, "finish", look_and_finish)
    deployment = await orchestrator.run(deploy("v1"))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert [item.phases for item in written] == [deployment.phases]
    assert {phase.status for phase in deployment.phases} <= {PhaseStatus.SUCCESS, PhaseStatus.PENDING}


@pytest.mark.parametrize("cancelled", [False, True])
async def test_phase_that_a_person_took_back_from_its_pause_has_ended(orchestrator, state, monkeypatch, cancelled):
    """Nobody reads in the channel that it was interrupted, as if the bot had died."""

    async def pause(_phase, _context):
        raise RolloutPausedError("1 of 2 new replicas failed.", service="web")

    monkeypatch.setattr(Execution, "run", pause)
    started = await orchestrator.start(deploy("v1"))
    await reached(orchestrator, lambda one: one.waits_in, started.id)
    if cancelled:
        await orchestrator.cancel(started.id, DORA)
    else:
        await orchestrator.decide(started.id, Choice.ROLL_BACK, DORA)
    deployment = await orchestrator.wait(started.id)
    assert deployment.outcome is (Outcome.CANCELLED if cancelled else Outcome.FAILED), deployment.problem
    phase = deployment.phase(PhaseName.EXECUTION)
    assert (phase.status, phase.problem) == (PhaseStatus.CANCELLED, deployment.problem)
    assert "interrupted" not in draw_live(deployment).embeds[0].description


@pytest.mark.parametrize(
    ("boot", "ago", "seconds"),
    [
        (boot_id(), timedelta(days=30), 5.0),
        (boot_id(), timedelta(days=-30), 5.0),
        ("another boot", timedelta(days=30), 90.0),  # of which this one is so old
        ("another boot", timedelta(seconds=70), 70.0),
        ("another boot", timedelta(days=-30), 0.0),
    ],
)
def test_duration_of_a_resumed_phase_is_by_the_boots_clock(
    monkeypatch, boot: str, ago: timedelta, seconds: float
) -> None:
    """The wall clock may have been set by a month since another process began it."""
    monkeypatch.setattr(phase_runner, "boot_seconds", lambda: 90.0)
    known = PhaseResult(
        PhaseName.EXECUTION,
        PhaseStatus.IN_PROGRESS,
        started_at=datetime.now(UTC) - ago,
        boot_id=boot,
        boot_seconds=85.0,
    )
    since, resumed = begin_phase(known, PhaseName.EXECUTION)
    assert time.monotonic() - since == pytest.approx(seconds, abs=1.0)
    assert resumed.started_at == known.started_at


@pytest.mark.parametrize("engine", [FakeEngine({"web": service("web")})])
@pytest.mark.usefixtures("hurried_time")
async def test_deployment_that_stands_still_is_told(orchestrator, engine, bus):
    """Whatever it waits for, and wherever, after a minute: here for the end of a recovery that does not end."""
    told, going_on = asyncio.Event(), asyncio.Event()
    found: list[DeploymentStoodStill] = []

    async def take(event: DeploymentStoodStill) -> None:
        found.append(event)
        told.set()

    async def never_ends(_environment: object) -> None:
        await going_on.wait()

    bus.subscribe(DeploymentStoodStill, take, name="test")
    object.__setattr__(orchestrator._components, "stop_recovery", never_ends)
    started = await orchestrator.start(deploy("v1"))
    async with asyncio.timeout(90):
        await told.wait()
        going_on.set()
        assert (await orchestrator.wait(started.id)).outcome is Outcome.SUCCEEDED
    assert [(still.deployment_id, 60 <= still.seconds < 70) for still in found] == [(started.id, True)]


async def test_step_of_the_clock_lengthens_no_phase(orchestrator, engine, monkeypatch):
    """A clock that was a month behind is set right in the middle of the execution."""
    start = engine.start
    with ExitStack() as clocks:

        async def stepped(container_id: str) -> None:
            clocks.enter_context(time_machine.travel(datetime.now(UTC) + timedelta(days=30), tick=True))
            await start(container_id)

        monkeypatch.setattr(engine, "start", stepped)
        deployment = await orchestrator.run(deploy("v1"))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert re.search(r"took \d+\.\d s", str(draw_outcome(deployment).embeds[0].to_dict()))
    assert " h " not in str(draw_live(deployment).embeds[0].to_dict())
    assert deployment.ended_at - deployment.created_at > timedelta(days=29)
    assert max(phase.duration_seconds for phase in deployment.phases) < 60
    assert deployment.duration_seconds < 60
