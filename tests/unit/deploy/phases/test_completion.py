"""Completion undoes nothing: what it cannot do is a warning, and is done by the next one."""

import asyncio
from dataclasses import replace

import pytest

from roas import limits
from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.errors import EngineError, EngineUnavailableError, FencedOffError, InvalidRequestError, JournalUnusableError
from roas.limits import STANDARD, Backoffs
from roas.models.deployment import DeploymentKind, Outcome, PhaseStatus
from roas.models.phases import PhaseName, PhasePolicy
from tests.unit.deploy.requested import DORA, deploy, phase_reached, rollback


@pytest.fixture(autouse=True)
def _two_are_kept(components):
    components.settings.releases_kept = 2


@pytest.fixture
async def three(orchestrator):
    """Put the environment on release 2 of 2, so that the next deployment drops release 1."""
    for version in ("v1", "v2"):
        assert (await orchestrator.run(deploy(version))).outcome is Outcome.SUCCEEDED


def assert_on(engine, version: str) -> None:
    assert engine.versions() == {"store": f"store:{version}", "web": f"web:{version}"}


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("task", ["held", "unprotect", "clear_unused"])
async def test_a_fault_in_completion_is_a_warning(orchestrator, engine, state, task):
    engine.faults[task] = [EngineError("the engine says no")]
    deployment = await orchestrator.run(deploy("v3"))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert any("the engine says no" in warning for warning in deployment.warnings), deployment.warnings
    assert deployment.phase(PhaseName.COMPLETION).status is PhaseStatus.SUCCESS
    assert_on(engine, "v3")
    assert (await state.releases.current("dev")).number == 3


@pytest.mark.usefixtures("three")
async def test_one_task_that_fails_stops_no_other(orchestrator, engine, components, environment):
    components.settings.releases_kept = 3
    await orchestrator.run(deploy("v3"))
    components.settings.releases_kept = 2
    engine.faults["unprotect"] = [EngineError("the engine says no")]
    engine.calls.clear()
    deployment = await orchestrator.run(deploy("v4"))
    assert [subject for name, subject in engine.calls if name == "unprotect"] == ["r1", "r2"]
    assert ("clear_unused", "") in engine.calls
    assert any(
        warning.startswith("The release runs, but the cleanup is not complete") for warning in deployment.warnings
    )
    assert engine.protected == {1, 3, 4}


@pytest.mark.usefixtures("three")
async def test_an_unforeseen_fault_in_completion_warns(orchestrator, engine, monkeypatch):
    async def break_down(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(engine, "unprotect", break_down)
    deployment = await orchestrator.run(deploy("v3"))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert any("ZeroDivisionError" in warning for warning in deployment.warnings)


@pytest.mark.usefixtures("three")
async def test_a_transient_fault_in_completion_is_retried(orchestrator, engine):
    engine.faults["unprotect"] = [EngineUnavailableError("busy")]
    deployment = await orchestrator.run(deploy("v3"))
    assert (deployment.outcome, deployment.warnings) == (Outcome.SUCCEEDED, ())
    assert deployment.phase(PhaseName.COMPLETION).attempts == 2
    assert engine.protected == {2, 3}


@pytest.mark.usefixtures("three")
async def test_an_engine_that_stays_away_in_completion_warns(orchestrator, engine):
    engine.faults["unprotect"] = [EngineUnavailableError("the engine does not answer") for _ in range(9)]
    deployment = await orchestrator.run(deploy("v3"))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert any("the engine does not answer" in warning for warning in deployment.warnings)
    assert_on(engine, "v3")


@pytest.mark.usefixtures("three")
async def test_what_was_not_let_go_is_let_go_by_the_next(orchestrator, engine):
    engine.faults["unprotect"] = [EngineUnavailableError("away") for _ in range(2)]
    await orchestrator.run(deploy("v3"))
    assert engine.protected == {1, 2, 3}
    engine.faults.clear()
    await orchestrator.run(deploy("v4"))
    assert engine.protected == {3, 4}


@pytest.mark.usefixtures("three")
async def test_what_the_release_before_left_is_let_go(orchestrator, engine, state, monkeypatch):
    """It forgot release 1 and then met a fault: nobody ever came back for the images."""
    engine.protected.add(7)  # of a journal that is not this one
    deployment = await orchestrator.run(deploy("v3"))
    engine.protected.add(1)
    assert (await orchestrator.run(deploy("v4"))).outcome is Outcome.SUCCEEDED
    assert deployment.outcome is Outcome.SUCCEEDED
    assert engine.protected == {3, 4, 7}


@pytest.fixture
def short(monkeypatch):
    """Give completion a moment only."""
    phases = tuple(replace(p, timeout_seconds=0.2) if p.name is PhaseName.COMPLETION else p for p in STANDARD.phases)
    table = {**limits.COORDINATIONS, DeploymentKind.DEPLOY: replace(STANDARD, phases=phases)}
    monkeypatch.setattr(limits, "COORDINATIONS", table)
    assert PhasePolicy(PhaseName.COMPLETION, 0.2, 1) in phases


@pytest.mark.usefixtures("three", "short")
async def test_a_completion_that_takes_too_long_warns(orchestrator, engine):
    engine.hold_unprotect = asyncio.Event()
    deployment = await orchestrator.run(deploy("v3"))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert any("completion did not end within 0.2 s" in warning for warning in deployment.warnings)
    assert_on(engine, "v3")


async def held_in_completion(orchestrator, engine):
    """Start a deployment that stays in its completion."""
    engine.hold_unprotect = asyncio.Event()
    deployment = await orchestrator.start(deploy("v3"))
    await phase_reached(orchestrator, deployment.id, PhaseName.COMPLETION)
    return deployment


@pytest.mark.usefixtures("three")
async def test_nobody_cancels_a_verified_release(orchestrator, engine):
    deployment = await held_in_completion(orchestrator, engine)
    with pytest.raises(InvalidRequestError, match="has verified its release already") as refused:
        await orchestrator.cancel(deployment.id, DORA)
    assert "/rollback" in refused.value.hint
    engine.hold_unprotect.set()
    assert (await orchestrator.wait(deployment.id)).outcome is Outcome.SUCCEEDED
    assert (await orchestrator.run(rollback())).outcome is Outcome.SUCCEEDED
    assert_on(engine, "v2")


@pytest.mark.usefixtures("three")
async def test_late_cancellation_undoes_nothing(orchestrator, engine):
    """It was written before the release was verified, and read after."""
    deployment = await held_in_completion(orchestrator, engine)
    orchestrator._running.request_stop(deployment.id)
    engine.hold_unprotect.set()
    ended = await orchestrator.wait(deployment.id)
    assert ended.outcome is Outcome.SUCCEEDED, ended.problem
    assert any("too late" in warning and "/rollback dev" in warning for warning in ended.warnings)
    assert_on(engine, "v3")
    assert (await orchestrator.run(rollback())).outcome is Outcome.SUCCEEDED
    assert_on(engine, "v2")


@pytest.mark.usefixtures("three")
async def test_who_dies_in_completion_is_taken_up_and_succeeds(orchestrator, engine, components, environment):
    deployment = await held_in_completion(orchestrator, engine)
    await orchestrator.close()
    engine.hold_unprotect = None
    second = DeploymentOrchestrator(components, {"dev": environment})
    await second.resume()
    ended = await second.wait(deployment.id)
    assert ended.outcome is Outcome.SUCCEEDED, ended.problem
    assert engine.protected == {2, 3}


@pytest.mark.usefixtures("three")
async def test_who_is_fenced_off_in_completion_ends_nothing(orchestrator, engine, state):
    engine.faults["unprotect"] = [FencedOffError("another has it")]
    deployment = await orchestrator.start(deploy("v3"))
    with pytest.raises(FencedOffError):
        await orchestrator.wait(deployment.id)
    assert (await state.deployments.get(deployment.id)).outcome is None


@pytest.mark.usefixtures("three")
async def test_a_journal_that_refuses_completion_undoes_nothing(orchestrator, engine, state, monkeypatch):
    monkeypatch.setattr(Backoffs, "must_wait", lambda *_: False)
    save = state.deployments.save_phases

    async def refuse_once(deployment, phases, fence):
        if any(phase.name is PhaseName.COMPLETION and phase.status is PhaseStatus.SUCCESS for phase in phases):
            monkeypatch.setattr(state.deployments, "save_phases", save)
            raise JournalUnusableError("The disk is full.")
        await save(deployment, phases, fence)

    monkeypatch.setattr(state.deployments, "save_phases", refuse_once)
    deployment = await orchestrator.start(deploy("v3"))
    with pytest.raises(JournalUnusableError):
        await orchestrator.wait(deployment.id)
    await orchestrator.resume()
    ended = await orchestrator.wait(deployment.id)
    assert (ended.outcome, ended.attempts) == (Outcome.SUCCEEDED, 1), ended.problem
    assert_on(engine, "v3")


@pytest.mark.usefixtures("three")
async def test_a_rollback_is_not_failed_by_its_completion(orchestrator, engine):
    engine.faults["held"] = [EngineError("the engine says no")]
    deployment = await orchestrator.run(rollback())
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert any("the engine says no" in warning for warning in deployment.warnings)
    assert_on(engine, "v1")


@pytest.mark.usefixtures("three")
async def test_a_forgotten_release_that_is_back_stays_held(orchestrator, engine, state):
    """The release before had forgotten it and left all of it, so that somebody could go back to it."""
    await orchestrator.run(deploy("v3"))
    engine.protected.add(1)
    assert (await orchestrator.run(rollback(target_release=1))).outcome is Outcome.SUCCEEDED
    assert_on(engine, "v1")
    assert 1 in engine.protected
    assert (await orchestrator.run(deploy("v4"))).outcome is Outcome.SUCCEEDED
    assert 1 in engine.protected, "one can still go back to it from here"
