"""What a dead process left is taken up by the next one, and given up where that ends badly again and again."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from roas.deploy.handover.peer_processes import PeerProcesses
from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.deploy.run import DeploymentRun
from roas.errors import (
    JournalUnusableError,
)
from roas.limits import MOST_ATTEMPTS, Backoffs
from roas.models.deployment import Operation, Outcome, Problem, ServiceStep
from roas.models.events import DeploymentEnded
from roas.models.phases import PhaseName
from roas.state.manager import StateManager
from roas.state.transaction import Fence
from tests.unit.deploy.fake_engine import HEALTHY, STARTING
from tests.unit.deploy.requested import deploy, phase_reached, service_reached


async def test_orphaned_deployment_resumed(orchestrator, components, environment, engine, state):
    """A deployment whose process died is resumed where its journal ends."""
    await orchestrator.run(deploy("v1"))
    engine.behaviour["v2", "store"] = STARTING
    deployment = await orchestrator.start(deploy("v2"))
    await service_reached(orchestrator, deployment.id, "store", ServiceStep.WAITING)
    await orchestrator.close()
    interrupted_at = datetime.now(UTC)
    assert (await state.deployments.get(deployment.id)).outcome is None

    engine.become("store", *HEALTHY)
    successor = DeploymentOrchestrator(components, {"dev": environment})
    taken = await successor.resume()
    assert [d.id for d in taken] == [deployment.id]
    ended = await successor.wait(deployment.id)
    assert ended.outcome is Outcome.SUCCEEDED
    assert ended.attempts == 2
    assert engine.versions() == {"store": "store:v2", "web": "web:v2"}
    whole = ended.phase(PhaseName.EXECUTION)
    assert whole.started_at < interrupted_at, "the part before the death counts, too"
    assert whole.duration_seconds >= (interrupted_at - whole.started_at).total_seconds()


async def test_restart_that_was_only_announced_is_done(orchestrator, components, environment, engine, monkeypatch):
    """The process died between the word and the act: the container runs as it should, and was not restarted yet."""
    await orchestrator.run(deploy("v1"))
    stop = engine.stop

    async def dies(container_id: str) -> None:
        raise JournalUnusableError("gone")

    monkeypatch.setattr(engine, "stop", dies)
    restart = await orchestrator.start(replace(deploy(""), services=("web",), operation=Operation.RESTART))
    with pytest.raises(JournalUnusableError):
        await orchestrator.wait(restart.id)
    await orchestrator.close()
    killed = DeploymentOrchestrator(components, {"dev": environment})
    monkeypatch.setattr(engine, "stop", stop)
    engine.calls.clear()
    await killed.resume()
    assert (await killed.wait(restart.id)).outcome is Outcome.SUCCEEDED
    acts = (("stop", "web"), ("start", "web"))
    assert tuple(call for call in engine.calls if call in acts) == acts


@pytest.mark.usefixtures("hurried_time")
async def test_reboot_not_blamed_on_new_version(orchestrator, components, environment, engine):
    """After a reboot the next bot finds the services starting: they get ready, and are observed from then on."""
    await orchestrator.run(deploy("v1"))
    for item in engine.stack.values():
        object.__setattr__(item, "monitor_seconds", 0.2)
    deployment = await orchestrator.start(deploy("v2"))
    await phase_reached(orchestrator, deployment.id, PhaseName.VERIFICATION)
    await orchestrator.close()
    engine.become("store", *STARTING)
    later = DeploymentOrchestrator(components, {"dev": environment})
    await later.resume()
    await asyncio.sleep(0.1)
    engine.become("store", *HEALTHY)
    ended = await later.wait(deployment.id)
    assert (ended.outcome, ended.attempts) == (Outcome.SUCCEEDED, 2), ended.problem
    assert engine.versions() == {"store": "store:v2", "web": "web:v2"}


async def test_repeated_crashes_need_operator(components, environment, engine, state):
    engine.behaviour["v1", "store"] = STARTING
    first = DeploymentOrchestrator(components, {"dev": environment})
    deployment = await first.start(deploy("v1"))
    await service_reached(first, deployment.id, "store", ServiceStep.WAITING)
    await first.close()
    for _ in range(2):
        again = DeploymentOrchestrator(components, {"dev": environment})
        await again.resume()
        await phase_reached(again, deployment.id, PhaseName.EXECUTION)
        await again.close()
    last = DeploymentOrchestrator(components, {"dev": environment})
    await last.resume()
    ended = await state.deployments.get(deployment.id)
    assert ended.outcome is Outcome.FAILED
    assert "was interrupted 3 times" in ended.problem.message
    assert "/rollback dev" in ended.problem.hint
    assert await state.locks.get("dev") is None
    assert [item for item in components.bus.history() if isinstance(item, DeploymentEnded) and item.abandoned]
    engine.behaviour.clear()
    assert (await last.run(deploy("v2"))).outcome is Outcome.SUCCEEDED
    await last.close()


@pytest.fixture
def refusing(state, monkeypatch):
    """Let the journal take nothing of how far a deployment has come, until it is undone."""

    async def refuse(*_: object, **__: object) -> None:
        raise JournalUnusableError("The disk is full.")

    with monkeypatch.context() as patched:
        for write in ("save_service", "save_phases", "finish"):
            patched.setattr(state.deployments, write, refuse)
        yield patched


async def test_journal_refusals_count_no_attempt(orchestrator, refusing, monkeypatch):
    monkeypatch.setattr(Backoffs, "must_wait", lambda *_: False)
    deployment = await orchestrator.start(deploy("v1"))
    for _ in range(MOST_ATTEMPTS + 1):
        with pytest.raises(JournalUnusableError):
            await orchestrator.wait(deployment.id)
        await orchestrator.resume()
    with pytest.raises(JournalUnusableError):
        await orchestrator.wait(deployment.id)
    refusing.undo()
    await orchestrator.resume()
    ended = await orchestrator.wait(deployment.id)
    assert (ended.outcome, ended.attempts) == (Outcome.SUCCEEDED, 1), ended.problem


async def test_own_fault_after_refusal_counts(orchestrator, refusing, state, monkeypatch):
    monkeypatch.setattr(Backoffs, "must_wait", lambda *_: False)
    deployment = await orchestrator.start(deploy("v1"))
    with pytest.raises(JournalUnusableError):
        await orchestrator.wait(deployment.id)
    refusing.undo()

    async def break_down(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(DeploymentRun, "run", break_down)
        for _ in range(MOST_ATTEMPTS + 2):
            await orchestrator.resume()
            with suppress(ZeroDivisionError):
                await orchestrator.wait(deployment.id)
    assert (await state.deployments.get(deployment.id)).outcome is Outcome.FAILED


@pytest.mark.usefixtures("refusing")
async def test_refused_write_not_retried_at_once(orchestrator):
    deployment = await orchestrator.start(deploy("v1"))
    with pytest.raises(JournalUnusableError):
        await orchestrator.wait(deployment.id)
    assert await orchestrator.resume() == ()


async def test_write_during_takeover_counts(components, environment, engine, state, tmp_path, monkeypatch):
    """What an owner writes while it is found dead counts."""
    await DeploymentOrchestrator(components, {"dev": environment}).run(deploy("v1"))
    engine.behaviour["v2", "store"] = STARTING
    async with StateManager(tmp_path / "state") as old:
        dying = DeploymentOrchestrator(replace(components, state=old), {"dev": environment})
        deployment = await dying.start(deploy("v2"))
        await service_reached(dying, deployment.id, "store", ServiceStep.WAITING)
        await dying.close()
        lock = await old.locks.get("dev")
        seen = await old.deployments.get(deployment.id)

        async def last_act(_: object, __: str) -> bool:
            problem = Problem("service_failed", "store is not well")
            await old.deployments.update(replace(seen, problem=problem), Fence("dev", lock.token))
            return True

        monkeypatch.setattr(PeerProcesses, "terminate_if_hung", last_act)
        successor = DeploymentOrchestrator(components, {"dev": environment})
        await successor.resume()
        ended = await successor.wait(deployment.id)
    assert ended.outcome is Outcome.ROLLED_BACK
    assert ended.problem.message == "store is not well"
    assert engine.versions() == {"store": "store:v1", "web": "web:v1"}


@pytest.mark.parametrize("has_ended_it", [False, True])
async def test_another_process_may_be_quicker(components, environment, engine, tmp_path, monkeypatch, has_ended_it):
    """A command that looks for what a dead process left may find it just before a new bot resumes it."""
    await DeploymentOrchestrator(components, {"dev": environment}).run(deploy("v1"))
    engine.behaviour["v2", "store"] = STARTING
    async with StateManager(tmp_path / "state") as old, StateManager(tmp_path / "state") as new:
        dying = DeploymentOrchestrator(replace(components, state=old), {"dev": environment})
        deployment = await dying.start(deploy("v2"))
        await service_reached(dying, deployment.id, "store", ServiceStep.WAITING)
        await dying.close()
        bot = DeploymentOrchestrator(replace(components, state=new), {"dev": environment})
        looks = 0

        async def looked_at(_: object, __: str) -> bool:
            nonlocal looks
            looks += 1
            if looks == 1:
                await bot.resume()
                engine.become("store", *HEALTHY)
                if has_ended_it:
                    await bot.wait(deployment.id)
            return True

        monkeypatch.setattr(PeerProcesses, "terminate_if_hung", looked_at)
        assert await DeploymentOrchestrator(components, {"dev": environment}).resume() == ()
        ended = await bot.wait(deployment.id)
    assert (ended.outcome, ended.attempts) == (Outcome.SUCCEEDED, 2)


async def test_late_crash_still_moves_environment(components, environment, engine, state, monkeypatch):
    """A deployment that died after its last phase still moves the environment."""
    first = DeploymentOrchestrator(components, {"dev": environment})
    await first.run(deploy("v1"))
    finish = state.deployments.finish
    died = asyncio.Event()

    async def die(*_: object, **__: object) -> None:
        died.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(state.deployments, "finish", die)
    deployment = await first.start(deploy("v2"))
    await died.wait()
    await first.close()
    monkeypatch.setattr(state.deployments, "finish", finish)
    second = DeploymentOrchestrator(components, {"dev": environment})
    await second.resume()
    assert (await second.wait(deployment.id)).outcome is Outcome.SUCCEEDED
    assert (await state.releases.current("dev")).version == "v2"


async def test_deployment_that_begins_is_no_orphan(orchestrator, state, monkeypatch):
    """Who looks for orphans reads it in the journal before the one who asked for it has heard that it is there."""
    create, resumed = state.deployments.create, []

    async def create_and_be_looked_at(deployment, purpose):
        fence = await create(deployment, purpose)
        resumed.extend(await orchestrator.resume())
        return fence

    monkeypatch.setattr(state.deployments, "create", create_and_be_looked_at)
    ended = await orchestrator.run(deploy("v1"))
    assert resumed == []
    assert (ended.outcome, ended.attempts) == (Outcome.SUCCEEDED, 1)


async def test_request_cancelled_while_it_is_written_is_resumed(orchestrator, state, monkeypatch):
    """The journal has it all the same: it runs, whoever does not wait for it any more."""
    create = state.deployments.create

    async def create_and_be_cancelled(deployment, purpose):
        await create(deployment, purpose)
        raise asyncio.CancelledError

    with monkeypatch.context() as patched, suppress(asyncio.CancelledError):
        patched.setattr(state.deployments, "create", create_and_be_cancelled)
        await orchestrator.start(deploy("v1"))
    (taken,) = await orchestrator.resume()
    assert (await orchestrator.wait(taken.id)).outcome is Outcome.SUCCEEDED


async def test_two_who_look_resume_it_once(orchestrator, components, environment, engine):
    engine.behaviour["v1", "store"] = STARTING
    deployment = await orchestrator.start(deploy("v1"))
    await service_reached(orchestrator, deployment.id, "store", ServiceStep.WAITING)
    await orchestrator.close()
    engine.become("store", *HEALTHY)
    later = DeploymentOrchestrator(components, {"dev": environment})
    taken = [item for some in await asyncio.gather(*(later.resume() for _ in range(3))) for item in some]
    assert [item.attempts for item in taken] == [2]
    assert (await later.wait(deployment.id)).outcome is Outcome.SUCCEEDED
