"""A deployment goes through its phases to an honest end."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.deployment.orchestrator import MOST_ATTEMPTS, DeploymentOrchestrator
from bot.deployment.peer_processes import PeerProcesses
from bot.deployment.run import DeploymentRun
from bot.engine.interface import ReleaseDraft
from bot.errors import (
    BuildFailedError,
    EngineUnavailableError,
    ImageChangedError,
    ImageNotFoundError,
    InvalidRequestError,
    JournalUnusableError,
    LockHeldError,
)
from bot.models.actor import Actor, ActorKind
from bot.models.check import CheckResult, Severity
from bot.models.coordination import HOTFIX, ROLLBACK, STANDARD, PhaseName
from bot.models.deployment import DeploymentKind, DeploymentRequest, Outcome, PhaseStatus, Problem, ServiceStep
from bot.models.health import ContainerState, HealthStatus
from bot.models.plan import ServiceAction
from bot.models.release import ImagePin, ReleaseService, ReleaseState
from bot.state.journal import Fence
from bot.state.manager import StateManager
from tests.deployment.conftest import service
from tests.deployment.fake_engine import HEALTHY, STARTING, UNHEALTHY

DORA = Actor(ActorKind.DISCORD, "1", "dora")


def deploy(version: str = "v1", **options: object) -> DeploymentRequest:
    return DeploymentRequest("dev", DeploymentKind.DEPLOY, DORA, version=version, **options)


def rollback(**options: object) -> DeploymentRequest:
    return DeploymentRequest("dev", DeploymentKind.ROLLBACK, DORA, **options)


def hotfix(version: str, reason: str = "it burns") -> DeploymentRequest:
    return DeploymentRequest("dev", DeploymentKind.HOTFIX, DORA, version=version, reason=reason)


def statuses(deployment) -> dict[str, str]:
    return {phase.name.value: phase.status.value for phase in deployment.phases}


async def test_a_deployment_runs_all_six_phases_and_the_environment_is_on_the_new_release(orchestrator, engine, state):
    deployment = await orchestrator.run(deploy("v1"))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert list(statuses(deployment)) == [policy.name.value for policy in STANDARD.phases]
    assert set(statuses(deployment).values()) == {"success"}
    assert engine.versions() == {"store": "store:v1", "web": "web:v1"}
    assert (await state.releases.current("dev")).version == "v1"
    assert await state.locks.get("dev") is None
    assert deployment == await state.deployments.get(deployment.id)


async def test_dependencies_start_first(orchestrator, engine):
    await orchestrator.run(deploy())
    assert engine.started() == ["store", "web"]


async def test_a_required_dependency_that_is_not_ready_keeps_its_dependent_from_starting(orchestrator, engine):
    engine.behaviour["v1", "store"] = UNHEALTHY
    deployment = await orchestrator.run(deploy())
    assert "web" not in engine.started()
    assert deployment.problem.service == "store"
    assert "its health check fails" in deployment.problem.message


async def test_a_failed_first_deployment_leaves_nothing_behind(orchestrator, engine, state):
    engine.behaviour["v1", "web"] = UNHEALTHY
    deployment = await orchestrator.run(deploy("v1"))
    assert deployment.outcome is Outcome.ROLLED_BACK
    assert engine.running == {}
    assert await state.releases.current("dev") is None


async def test_an_unhealthy_service_brings_the_old_release_back_whole_and_says_why(orchestrator, engine, state):
    await orchestrator.run(deploy("v1"))
    engine.behaviour["v2", "web"] = UNHEALTHY
    deployment = await orchestrator.run(deploy("v2"))
    assert deployment.outcome is Outcome.ROLLED_BACK
    assert engine.versions() == {"store": "store:v1", "web": "web:v1"}
    assert deployment.problem.report == "its last words"
    current = await state.releases.current("dev")
    assert (current.number, current.version) == (1, "v1")
    assert (await state.releases.get("dev", 2)).state is ReleaseState.FAILED
    assert statuses(deployment)["rollback"] == "success"


async def test_a_rollback_takes_dependents_down_first(orchestrator, engine):
    await orchestrator.run(deploy("v1"))
    engine.behaviour["v2", "web"] = UNHEALTHY
    engine.calls.clear()
    await orchestrator.run(deploy("v2"))
    assert [subject for name, subject in engine.calls if name == "stop"] == ["web", "store"]


async def test_a_service_that_fails_while_it_is_observed_fails_the_deployment(orchestrator, engine, environment):
    engine.stack = {"web": service("web")}
    await orchestrator.run(deploy("v1"))
    object.__setattr__(engine.stack["web"], "monitor_seconds", 30.0)
    deployment = await orchestrator.start(deploy("v2"))
    await phase_reached(orchestrator, deployment.id, PhaseName.VERIFICATION)
    engine.become("web", *UNHEALTHY)
    ended = await orchestrator.wait(deployment.id)
    assert ended.outcome is Outcome.ROLLED_BACK
    assert ended.phase(PhaseName.VERIFICATION).status is PhaseStatus.FAILED


async def test_a_failed_rollback_is_not_rolled_back_but_handed_to_an_operator(orchestrator, engine, state):
    await orchestrator.run(deploy("v1"))
    engine.behaviour["v2", "web"] = UNHEALTHY
    engine.behaviour["v1", "web"] = UNHEALTHY
    deployment = await orchestrator.run(deploy("v2"))
    assert deployment.outcome is Outcome.FAILED
    assert "The rollback failed too" in deployment.problem.message
    assert "/rollback dev" in deployment.problem.hint
    assert await state.locks.get("dev") is None


async def test_transient_faults_are_tried_again(orchestrator, engine):
    engine.faults["look_up_images"] = [EngineUnavailableError("busy"), EngineUnavailableError("busy")]
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.SUCCEEDED
    assert deployment.phase(PhaseName.PREPARATION).attempts == 3


async def test_an_intent_is_written_again_before_an_act_that_is_tried_again(orchestrator, engine, state):
    engine.faults["create"] = [EngineUnavailableError("busy")]
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.SUCCEEDED
    written = [change.new for change in await state.changes("dev") if change.subject == "store"]
    assert written.count("creating") == 2


async def test_an_engine_that_is_restarted_during_a_rollback_is_waited_for(orchestrator, engine):
    await orchestrator.run(deploy("v1"))
    engine.behaviour["v2", "web"] = UNHEALTHY
    engine.faults["refresh_credentials"] = [EngineUnavailableError("away"), EngineUnavailableError("away")]
    deployment = await orchestrator.run(deploy("v2"))
    assert deployment.outcome is Outcome.ROLLED_BACK, deployment.problem
    assert engine.versions() == {"store": "store:v1", "web": "web:v1"}


async def test_retries_of_a_transient_fault_end(orchestrator, engine):
    engine.faults["look_up_images"] = [EngineUnavailableError("busy") for _ in range(9)]
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.FAILED
    assert deployment.phase(PhaseName.PREPARATION).attempts == 1 + STANDARD.policy(PhaseName.PREPARATION).retries


async def test_an_image_that_does_not_exist_is_not_tried_again_and_nothing_is_touched(orchestrator, engine, state):
    await orchestrator.run(deploy("v1"))
    engine.calls.clear()
    engine.faults["pull"] = [ImageNotFoundError("web:v9 does not exist")]
    deployment = await orchestrator.run(deploy("v9"))
    assert deployment.outcome is Outcome.FAILED
    assert deployment.phase(PhaseName.PREPARATION).attempts == 1
    assert "create" not in {name for name, _ in engine.calls}
    assert engine.versions()["web"] == "web:v1"


async def test_an_unhealthy_service_is_not_tried_again(orchestrator, engine):
    engine.behaviour["v1", "store"] = UNHEALTHY
    deployment = await orchestrator.run(deploy())
    assert deployment.phase(PhaseName.EXECUTION).attempts == 1
    assert engine.started().count("store") == 1


async def test_a_failed_critical_check_stops_the_deployment_and_all_failures_are_told(orchestrator, engine, components):
    components.validator.results = (
        CheckResult("disk", Severity.CRITICAL, False, "the disk is full", "free some"),
        CheckResult("ports", Severity.CRITICAL, False, "port 80 is taken", "stop nginx"),
        CheckResult("compose", Severity.CRITICAL, True, "it parses"),
        CheckResult("health", Severity.WARNING, False, "web has no health check"),
    )
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.FAILED
    assert "the disk is full" in deployment.problem.message
    assert "port 80 is taken" in deployment.problem.message
    assert "it parses" not in deployment.problem.message
    assert "pull" not in {name for name, _ in engine.calls}


async def test_warnings_stop_nothing_and_are_kept(orchestrator, components):
    components.validator.results = (CheckResult("health", Severity.WARNING, False, "web has no health check"),)
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.SUCCEEDED
    assert any("web has no health check" in warning for warning in deployment.warnings)


async def test_a_second_deployment_of_the_same_environment_is_refused(orchestrator, engine):
    engine.hold = asyncio.Event()
    first = await orchestrator.start(deploy("v1"))
    with pytest.raises(LockHeldError, match="dora"):
        await orchestrator.start(deploy("v2"))
    engine.hold.set()
    assert (await orchestrator.wait(first.id)).outcome is Outcome.SUCCEEDED


async def test_cancelling_before_anything_was_touched_changes_nothing(orchestrator, engine, state):
    engine.hold = asyncio.Event()
    deployment = await orchestrator.start(deploy("v1"))
    await phase_reached(orchestrator, deployment.id, PhaseName.PREPARATION)
    await orchestrator.cancel(deployment.id, DORA)
    ended = await orchestrator.wait(deployment.id)
    assert ended.outcome is Outcome.CANCELLED
    assert ended.phase(PhaseName.PREPARATION).status is PhaseStatus.CANCELLED
    assert engine.running == {}
    assert await state.locks.get("dev") is None


async def test_cancelling_half_way_leaves_the_environment_on_the_old_release(orchestrator, engine):
    await orchestrator.run(deploy("v1"))
    engine.behaviour["v2", "store"] = STARTING
    deployment = await orchestrator.start(deploy("v2"))
    await service_reached(orchestrator, deployment.id, "store", ServiceStep.WAITING)
    await orchestrator.cancel(deployment.id, DORA)
    ended = await orchestrator.wait(deployment.id)
    assert ended.outcome is Outcome.CANCELLED
    assert engine.versions() == {"store": "store:v1", "web": "web:v1"}
    with pytest.raises(InvalidRequestError):
        await orchestrator.cancel(deployment.id, DORA)


async def test_nobody_can_cancel_a_rollback_half_way(orchestrator, engine, state, monkeypatch):
    await orchestrator.run(deploy("v1"))
    engine.behaviour |= {("v2", "web"): UNHEALTHY, ("v1", "store"): STARTING}
    monkeypatch.setattr("bot.deployment.run.CANCEL_POLL_SECONDS", 0.05)
    update = state.deployments.update

    async def cancelled_from_elsewhere_just_before(changed, fence):
        if changed.problem is not None and (await state.deployments.get(changed.id)).problem is None:
            await state.deployments.request_cancel(changed.id, DORA)
        await update(changed, fence)

    monkeypatch.setattr(state.deployments, "update", cancelled_from_elsewhere_just_before)
    deployment = await orchestrator.start(deploy("v2"))
    await phase_reached(orchestrator, deployment.id, PhaseName.ROLLBACK)
    await service_reached(orchestrator, deployment.id, "store", ServiceStep.WAITING)
    with pytest.raises(InvalidRequestError, match="being rolled back already"):
        await orchestrator.cancel(deployment.id, DORA)
    orchestrator._contexts[deployment.id].request_stop()  # as from a watcher that had just read the wish
    await asyncio.sleep(0.2)  # the journal is asked several times meanwhile whether somebody cancelled
    engine.become("store", *HEALTHY)
    ended = await orchestrator.wait(deployment.id)
    assert ended.outcome is Outcome.ROLLED_BACK, ended.problem
    assert engine.versions() == {"store": "store:v1", "web": "web:v1"}


async def test_a_rollback_that_was_asked_for_can_be_cancelled_and_leaves_the_release_that_ran(orchestrator, engine):
    await orchestrator.run(deploy("v1"))
    await orchestrator.run(deploy("v2"))
    engine.behaviour["v1", "store"] = STARTING
    deployment = await orchestrator.start(rollback())
    await service_reached(orchestrator, deployment.id, "store", ServiceStep.WAITING)
    await orchestrator.cancel(deployment.id, DORA)
    ended = await orchestrator.wait(deployment.id)
    assert ended.outcome is Outcome.CANCELLED
    assert engine.versions() == {"store": "store:v2", "web": "web:v2"}
    assert len(engine.running) == 2


async def test_a_phase_that_takes_too_long_says_what_it_waited_for(orchestrator, engine, monkeypatch):
    from bot.deployment import orchestrator as module
    from bot.models.coordination import PhasePolicy

    short = tuple(PhasePolicy(p.name, 0.2) if p.name is PhaseName.EXECUTION else p for p in STANDARD.phases)
    table = {**module.COORDINATIONS, DeploymentKind.DEPLOY: replace(STANDARD, phases=short)}
    monkeypatch.setattr(module, "COORDINATIONS", table)
    engine.behaviour["v1", "store"] = STARTING
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.ROLLED_BACK
    assert "execution did not end within 0.2 s" in deployment.problem.message
    assert "store (waiting)" in deployment.problem.message


async def test_an_asked_for_rollback_restores_the_release_before(orchestrator, engine, state):
    await orchestrator.run(deploy("v1"))
    await orchestrator.run(deploy("v2"))
    engine.calls.clear()
    deployment = await orchestrator.run(rollback(reason="slow"))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert engine.versions() == {"store": "store:v1", "web": "web:v1"}
    assert (await state.releases.current("dev")).number == 1
    assert {"pull", "build", "look_up_images"}.isdisjoint(name for name, _ in engine.calls)
    assert list(statuses(deployment)) == [policy.name.value for policy in ROLLBACK.phases]


async def test_a_rollback_without_anything_before_is_refused(orchestrator):
    with pytest.raises(InvalidRequestError, match="no release before"):
        await orchestrator.start(rollback())


async def test_a_rollback_to_a_release_that_does_not_exist_is_refused(orchestrator):
    await orchestrator.run(deploy("v1"))
    with pytest.raises(InvalidRequestError, match="r9"):
        await orchestrator.start(rollback(target_release=9))


async def test_a_hotfix_runs_its_three_phases_pulls_what_is_missing_and_makes_a_release(orchestrator, engine, state):
    await orchestrator.run(deploy("v1"))
    deployment = await orchestrator.run(hotfix("v2"))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert list(statuses(deployment)) == [policy.name.value for policy in HOTFIX.phases]
    assert ("pull", "web:v2") in engine.calls
    assert (await state.releases.current("dev")).version == "v2"


async def test_a_hotfix_that_fails_is_rolled_back(orchestrator, engine):
    await orchestrator.run(deploy("v1"))
    engine.behaviour["v2", "web"] = UNHEALTHY
    assert (await orchestrator.run(hotfix("v2"))).outcome is Outcome.ROLLED_BACK
    assert engine.versions()["web"] == "web:v1"


async def test_a_hotfix_wants_a_reason(orchestrator):
    with pytest.raises(InvalidRequestError, match="reason"):
        await orchestrator.start(hotfix("v2", reason=" "))


@pytest.mark.parametrize("version", ["", "-v", "a b", "x" * 129, "$(id)", "--privileged", None])
async def test_a_strange_version_is_refused(orchestrator, version):
    with pytest.raises(InvalidRequestError, match="no version"):
        await orchestrator.start(deploy(version))


async def test_an_unknown_environment_is_refused_and_the_known_ones_named(orchestrator):
    with pytest.raises(InvalidRequestError, match="moon") as refusal:
        await orchestrator.start(DeploymentRequest("moon", DeploymentKind.DEPLOY, DORA, version="v1"))
    assert "dev" in refusal.value.hint


async def test_only_the_named_services_change(orchestrator, engine):
    await orchestrator.run(deploy("v1"))
    deployment = await orchestrator.run(deploy("v2", services=("web",)))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert engine.versions() == {"store": "store:v1", "web": "web:v2"}


async def test_naming_services_of_an_environment_without_a_release_is_refused_in_words(orchestrator):
    deployment = await orchestrator.run(deploy("v1", services=("web",)))
    assert deployment.outcome is Outcome.FAILED
    assert "no release yet" in deployment.problem.message


async def test_a_service_that_left_the_stack_is_removed(orchestrator, engine):
    await orchestrator.run(deploy("v1"))
    engine.stack = {"store": engine.stack["store"]}
    # The old model still names web, so that the fake has to know it for the plan.
    engine.definitions = lambda model: {n: service(n) for n in model["services"]}
    await orchestrator.run(deploy("v2"))
    assert engine.versions() == {"store": "store:v2"}


async def test_a_plan_that_no_longer_holds_is_refused(orchestrator, engine):
    plan = await orchestrator.plan(deploy("v1"))
    await orchestrator.run(deploy("v0"))
    deployment = await orchestrator.run(deploy("v1", plan_digest=plan.digest))
    assert deployment.outcome is Outcome.FAILED
    assert deployment.problem.key == ImageChangedError.key
    assert engine.versions()["web"] == "web:v0"


async def test_a_plan_changes_nothing(orchestrator, engine, state):
    plan = await orchestrator.plan(deploy("v1"))
    assert [service.service for service in plan.changed] == ["store", "web"]
    assert engine.running == {}
    assert await state.deployments.list() == ()


async def test_an_untouched_critical_service_that_is_unhealthy_fails_the_deployment_another_only_warns(
    orchestrator, engine
):
    engine.stack["lone"] = service("lone")
    await orchestrator.run(deploy("v1"))
    engine.become("lone", *UNHEALTHY)
    tolerant = await orchestrator.run(deploy("v2", services=("web",)))
    assert tolerant.outcome is Outcome.SUCCEEDED
    assert any("lone" in warning for warning in tolerant.warnings)
    engine.stack["lone"] = service("lone", critical=True)
    strict = await orchestrator.run(deploy("v3", services=("web",)))
    assert strict.outcome is Outcome.ROLLED_BACK
    assert "lone, which is critical" in strict.problem.message


async def test_a_fault_that_nobody_foresaw_still_has_an_honest_end(orchestrator, engine, monkeypatch, state):
    await orchestrator.run(deploy("v1"))

    async def break_down(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(engine, "draft_release", break_down)
    deployment = await orchestrator.run(deploy("v2"))
    assert deployment.outcome is Outcome.FAILED
    assert deployment.problem.key == "internal_fault"
    assert await state.locks.get("dev") is None


async def test_old_releases_are_let_go_and_the_kept_ones_stay_protected(orchestrator, engine, components):
    components.settings.releases_kept = 2
    for number in range(1, 5):
        await orchestrator.run(deploy(f"v{number}"))
    assert engine.protected == {3, 4}


async def test_a_release_that_is_brought_back_is_not_let_go_of_however_many_failed_since(
    orchestrator, engine, components
):
    components.settings.releases_kept = 2
    engine.behaviour |= {("bad", "web"): UNHEALTHY}
    for version in ("v1", "bad", "bad", "v2"):
        await orchestrator.run(deploy(version))
    assert (await orchestrator.run(rollback())).outcome is Outcome.SUCCEEDED
    assert engine.versions()["web"] == "web:v1"
    assert 1 in engine.protected
    assert await components.state.releases.get("dev", 1) in await components.state.releases.list("dev")


async def test_every_event_of_a_deployment_carries_its_correlation_id(orchestrator, bus):
    deployment = await orchestrator.run(deploy())
    own = [event for event in bus.history() if event.data.get("deployment_id") == deployment.id]
    assert {event.correlation_id for event in own} == {deployment.correlation_id}
    types = [event.type for event in own]
    assert types[0] in {"deployment.phase.changed", "deployment.initialization.started"}
    assert types[-1] == "deployment.orchestration.completed"
    assert {"environment.validation.completed", "release.created", "deployment.service.started"} <= set(types)


async def test_without_parallel_execution_services_go_one_by_one(orchestrator, engine, components):
    engine.stack = {"a": service("a"), "b": service("b")}
    engine.behaviour["v1", "a"] = STARTING
    components.settings.parallel_execution = False
    deployment = await orchestrator.start(deploy("v1"))
    await service_reached(orchestrator, deployment.id, "a", ServiceStep.WAITING)
    assert engine.started() == ["a"]
    engine.become("a", *HEALTHY)
    await orchestrator.wait(deployment.id)
    assert engine.started() == ["a", "b"]


async def test_with_parallel_execution_independent_services_do_not_wait_for_each_other(orchestrator, engine):
    engine.stack = {"a": service("a"), "b": service("b")}
    engine.behaviour["v1", "a"] = STARTING
    deployment = await orchestrator.start(deploy("v1"))
    await service_reached(orchestrator, deployment.id, "b", ServiceStep.HEALTHY)
    engine.become("a", *HEALTHY)
    assert (await orchestrator.wait(deployment.id)).outcome is Outcome.SUCCEEDED


async def test_one_that_exits_at_once_is_told_with_its_code(orchestrator, engine):
    engine.behaviour["v1", "store"] = (ContainerState.RESTARTING, HealthStatus.NONE)
    deployment = await orchestrator.start(deploy("v1"))
    await service_reached(orchestrator, deployment.id, "store", ServiceStep.WAITING)
    for container_id, container in list(engine.running.items()):
        engine.running[container_id] = replace(container, restart_count=5, exit_code=3)
    engine.become("store", ContainerState.RESTARTING, HealthStatus.NONE)
    ended = await orchestrator.wait(deployment.id)
    assert "restarts in a loop with code 3" in ended.problem.message


async def test_restarts_of_long_ago_fail_nobody(orchestrator, engine):
    await orchestrator.run(deploy("v1"))
    for container_id, container in list(engine.running.items()):
        engine.running[container_id] = replace(container, restart_count=5)
    deployment = await orchestrator.run(deploy("v2", services=("web",)))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem


async def test_a_failed_build_is_told(orchestrator, engine, monkeypatch):
    async def look_up(stack, services):
        from bot.models.stack import WantedImage

        return {name: WantedImage(f"{name}:v1", build_hash="b") for name in services}

    monkeypatch.setattr(engine, "look_up_images", look_up)
    engine.faults["build"] = [BuildFailedError("the build of store failed", report="step 3")]
    deployment = await orchestrator.run(deploy("v1"))
    assert deployment.outcome is Outcome.FAILED
    assert deployment.problem.report == "step 3"


async def test_a_deployment_whose_process_died_is_taken_up_where_its_journal_ends(
    orchestrator, components, environment, engine, state
):
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


async def test_a_deployment_whose_process_dies_again_and_again_is_handed_to_an_operator(
    components, environment, engine, state
):
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
    assert "broke off 3 times" in ended.problem.message
    assert "/rollback dev" in ended.problem.hint
    assert await state.locks.get("dev") is None
    assert [event.data["abandoned"] for event in components.bus.history() if "abandoned" in event.data]


@pytest.fixture
def refusing(state, monkeypatch):
    """Let the journal take nothing of how far a deployment has come, until it is undone."""

    async def refuse(*_: object, **__: object) -> None:
        raise JournalUnusableError("The disk is full.")

    with monkeypatch.context() as patched:
        for write in ("save_service", "save_phase", "finish"):
            patched.setattr(state.deployments, write, refuse)
        yield patched


async def test_a_journal_that_refuses_writes_for_a_while_is_nobodys_death(orchestrator, refusing, monkeypatch):
    monkeypatch.setattr("bot.deployment.resume_backoff.WAIT_SECONDS", 0.0)
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


async def test_a_fault_of_our_own_after_the_journal_refused_counts_and_ends(orchestrator, refusing, state, monkeypatch):
    monkeypatch.setattr("bot.deployment.resume_backoff.WAIT_SECONDS", 0.0)
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
async def test_what_the_journal_refuses_is_not_tried_again_at_once(orchestrator):
    deployment = await orchestrator.start(deploy("v1"))
    with pytest.raises(JournalUnusableError):
        await orchestrator.wait(deployment.id)
    assert await orchestrator.resume() == ()


async def test_what_is_written_while_an_owner_is_found_dead_counts(
    components, environment, engine, state, tmp_path, monkeypatch
):
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


async def phase_reached(orchestrator, deployment_id: str, phase: PhaseName) -> None:
    def under_way(deployment) -> bool:
        return any(one.name is phase and one.status is PhaseStatus.IN_PROGRESS for one in deployment.phases)

    await _reached(orchestrator, under_way, deployment_id)


async def service_reached(orchestrator, deployment_id: str, name: str, step: ServiceStep) -> None:
    await _reached(orchestrator, lambda d: any(p.service == name and p.step is step for p in d.services), deployment_id)


async def _reached(orchestrator, condition, deployment_id: str) -> None:
    """Wait, by the journal's own announcements, until a deployment meets a condition."""
    state = orchestrator._components.state
    changed = asyncio.Event()
    unsubscribe = state.subscribe(lambda _: changed.set())
    try:
        async with asyncio.timeout(10):
            while not condition(await state.deployments.get(deployment_id)):
                await changed.wait()
                changed.clear()
    finally:
        unsubscribe()


async def test_a_deployment_that_died_after_its_last_phase_still_moves_the_environment(
    components, environment, engine, state, monkeypatch
):
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


async def test_a_plan_made_before_a_running_environment_was_adopted_still_holds_after(orchestrator, engine):
    images = {name: f"{name}:v0" for name in engine.stack}
    services = tuple(ReleaseService(name, ImagePin(image, f"sha256:{image}"), "d") for name, image in images.items())
    model = {"services": {name: {"image": image} for name, image in images.items()}}
    engine.models["v0"] = model
    engine.adoptable = ReleaseDraft("v0", services, "v0")
    for name in engine.stack:
        await engine.create_service(None, "v0", name)
        engine.become(name, *HEALTHY)
    plan = await orchestrator.plan(deploy("v1"))
    assert {service.action for service in plan.services} == {ServiceAction.RECREATE}
    assert {service.old_image for service in plan.services} == {"store:v0", "web:v0"}
    deployment = await orchestrator.run(deploy("v1", plan_digest=plan.digest))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert deployment.from_release == 0
