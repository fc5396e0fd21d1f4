"""A deployment goes through its phases to an honest end."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from roas.backoff import MOST_ATTEMPTS, Retries
from roas.deployment.orchestrator import DeploymentOrchestrator
from roas.deployment.peer_processes import PeerProcesses
from roas.deployment.run import DeploymentRun
from roas.engine.interface import ReleaseDraft
from roas.errors import (
    BuildFailedError,
    ContainerConflictError,
    ContainerRemovedError,
    EngineUnavailableError,
    ImageChangedError,
    ImageNotFoundError,
    InvalidRequestError,
    JournalUnusableError,
    LockHeldError,
)
from roas.models.actor import Actor, ActorKind
from roas.models.check import CheckResult, Severity
from roas.models.coordination import HOTFIX, ROLLBACK, STANDARD, PhaseName
from roas.models.deployment import DeploymentKind, DeploymentRequest, Outcome, PhaseStatus, Problem, ServiceStep
from roas.models.events import DeploymentEnded
from roas.models.health import ContainerState, HealthStatus
from roas.models.plan import ServiceAction
from roas.models.release import ImagePin, ReleaseService, ReleaseState
from roas.models.stack import WantedImage
from roas.state.journal import Fence
from roas.state.manager import StateManager
from tests.unit.deployment.conftest import service
from tests.unit.deployment.fake_engine import HEALTHY, STARTING, UNHEALTHY, FakeEngine

DORA = Actor(ActorKind.DISCORD, "1", "dora")


def deploy(version: str = "v1", **options: object) -> DeploymentRequest:
    return DeploymentRequest("dev", DeploymentKind.DEPLOY, DORA, version=version, **options)


def rollback(**options: object) -> DeploymentRequest:
    return DeploymentRequest("dev", DeploymentKind.ROLLBACK, DORA, **options)


def hotfix(version: str, reason: str = "it burns") -> DeploymentRequest:
    return DeploymentRequest("dev", DeploymentKind.HOTFIX, DORA, version=version, reason=reason)


def statuses(deployment) -> dict[str, str]:
    return {phase.name.value: phase.status.value for phase in deployment.phases}


async def test_deployment_runs_six_phases(orchestrator, engine, state):
    """The environment is on the new release afterwards."""
    deployment = await orchestrator.run(deploy("v1"))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert list(statuses(deployment)) == [policy.name.value for policy in STANDARD.phases]
    assert set(statuses(deployment).values()) == {"success"}
    assert engine.versions() == {"store": "store:v1", "web": "web:v1"}
    assert (await state.releases.current("dev")).version == "v1"
    assert await state.locks.get("dev") is None
    assert deployment == await state.deployments.get(deployment.id)


class RemovingSlowly(FakeEngine):
    """Remove containers as Docker does: they end first, and that is seen; of the removal no event has come yet."""

    looked = asyncio.Event()

    async def containers(self, environment):
        self.looked.set()
        return await super().containers(environment)

    async def remove(self, environment, container_id, *, grace_seconds=None):
        container = self.running[container_id]
        self.running[container_id] = replace(container, state=ContainerState.EXITED, exit_code=0, restart_policy="no")
        self.looked.clear()
        self.tell(container.service)
        await self.looked.wait()
        await super().remove(environment, container_id, grace_seconds=grace_seconds)


@pytest.mark.parametrize("engine", [RemovingSlowly({"web": service("web", start_first=True, monitor_seconds=0.1)})])
async def test_replaced_container_judges_nothing(orchestrator, engine):
    """Neither a start-first update nor the way back fails by the end of a container that it removed itself."""
    for version in ("v1", "v2", "v3"):
        deployment = await orchestrator.run(deploy(version))
        assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert (await orchestrator.run(rollback())).outcome is Outcome.SUCCEEDED
    assert engine.versions() == {"web": "web:v2"}


class Pruned(FakeEngine):
    """Lose the image of one service of one version between the look at it and the creation of its container."""

    lost = ""

    async def create_service(self, environment, model_hash, service, **options):
        if self.models[model_hash]["services"][service]["image"] == self.lost:
            raise ImageNotFoundError(f"{self.lost} is gone from this machine", service=service)
        return await super().create_service(environment, model_hash, service, **options)


@pytest.mark.parametrize("engine", [Pruned({"store": service("store"), "web": service("web", "store")})])
async def test_rollback_that_lost_an_image_is_undone(orchestrator, engine, state):
    """A prune in its middle: what it had begun goes back to the release that ran, and nothing is left of two."""
    for version in ("v1", "v2"):
        await orchestrator.run(deploy(version))
    engine.lost = "web:v1"
    ended = await orchestrator.run(rollback())
    assert ended.outcome is Outcome.ROLLED_BACK, ended.problem
    assert "web:v1 is gone" in ended.problem.message
    assert engine.versions() == {"store": "store:v2", "web": "web:v2"}
    assert (await state.releases.current("dev")).version == "v2"
    engine.lost = ""
    assert (await orchestrator.run(rollback())).outcome is Outcome.SUCCEEDED


async def test_rollback_to_what_is_not_well_is_on_it(orchestrator, engine, state):
    """Where all of a release runs, and one service of it is not well, nothing is left of another release."""
    for version in ("v1", "v2"):
        await orchestrator.run(deploy(version))
    engine.behaviour["v1", "web"] = UNHEALTHY
    ended = await orchestrator.run(rollback())
    assert ended.outcome is Outcome.FAILED
    assert "dev is on r1 now" in ended.problem.hint
    assert ended.brought_back
    assert ended.phase(PhaseName.ROLLBACK).summary == "all of it runs, and not all of it is well", "for older readers"
    assert engine.versions() == {"store": "store:v1", "web": "web:v1"}
    assert (await state.releases.current("dev")).version == "v1"


async def test_rollback_that_breaks_off_is_on_neither(orchestrator, engine, state):
    for version in ("v1", "v2"):
        await orchestrator.run(deploy(version))
    engine.behaviour["v1", "store"] = UNHEALTHY
    ended = await orchestrator.run(rollback())
    assert "may run parts of two releases" in ended.problem.hint
    assert not ended.brought_back
    assert (await state.releases.current("dev")).version == "v2"


class Suspending(FakeEngine):
    """Let a paused container go on, as the engine does: its health check fails until it has run again."""

    async def create_service(self, environment, model_hash, service, **options):
        paused = [c.id for c in self.running.values() if c.service == service and c.state is ContainerState.PAUSED]
        return tuple(paused) or await super().create_service(environment, model_hash, service, **options)

    async def start(self, environment, container_id):
        container = self.running[container_id]
        if container.state is ContainerState.PAUSED:
            self.become(container.service, *UNHEALTHY)
            asyncio.get_running_loop().call_later(0.2, self.become, container.service, *HEALTHY)
        else:
            await super().start(environment, container_id)


@pytest.mark.parametrize("engine", [Suspending({"store": service("store"), "web": service("web", "store")})])
async def test_suspended_service_is_restored(orchestrator, engine):
    """Somebody pauses what a failed deployment goes back to."""
    await orchestrator.run(deploy("v1"))
    engine.become("web", ContainerState.PAUSED, HealthStatus.HEALTHY)
    engine.behaviour["v2", "store"] = UNHEALTHY
    ended = await orchestrator.run(deploy("v2"))
    assert ended.outcome is Outcome.ROLLED_BACK, ended.problem
    assert engine.versions() == {"store": "store:v1", "web": "web:v1"}


class Away(FakeEngine):
    """Be away once images are pulled, for as long as nobody waits for it."""

    # How often it does not answer whoever looks at the containers; None: preparation has not begun.
    away: int | None = None

    async def look_up_images(self, stack, services):
        if self.away:
            raise EngineUnavailableError("the engine does not answer")
        return await super().look_up_images(stack, services)

    async def pull(self, environment, image, services, report):
        if self.away is None:
            self.away = 2
        if self.away:
            raise EngineUnavailableError("the engine does not answer")
        return await super().pull(environment, image, services, report)

    async def containers(self, environment):
        if self.away:
            self.away -= 1
            raise EngineUnavailableError("the engine does not answer")
        return await super().containers(environment)


@pytest.mark.parametrize("engine", [Away({"web": service("web")})])
async def test_phase_waits_for_engine_that_went_away(orchestrator, engine):
    """More often than a phase is tried again: an engine that restarts takes seconds."""
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert deployment.phase(PhaseName.PREPARATION).attempts == 2


async def test_dependencies_start_first(orchestrator, engine):
    await orchestrator.run(deploy())
    assert engine.started() == ["store", "web"]


async def test_unready_dependency_blocks_dependent(orchestrator, engine):
    engine.behaviour["v1", "store"] = UNHEALTHY
    deployment = await orchestrator.run(deploy())
    assert "web" not in engine.started()
    assert deployment.problem.service == "store"
    assert "its health check fails" in deployment.problem.message


async def test_failed_first_deployment_leaves_nothing(orchestrator, engine, state):
    engine.behaviour["v1", "web"] = UNHEALTHY
    deployment = await orchestrator.run(deploy("v1"))
    assert deployment.outcome is Outcome.ROLLED_BACK
    assert engine.running == {}
    assert await state.releases.current("dev") is None


async def test_unhealthy_service_restores_whole_release(orchestrator, engine, state):
    """The outcome says why."""
    await orchestrator.run(deploy("v1"))
    engine.behaviour["v2", "web"] = UNHEALTHY
    deployment = await orchestrator.run(deploy("v2"))
    assert deployment.outcome is Outcome.ROLLED_BACK
    assert engine.versions() == {"store": "store:v1", "web": "web:v1"}
    assert deployment.problem.report == "its last output"
    current = await state.releases.current("dev")
    assert (current.number, current.version) == (1, "v1")
    assert (await state.releases.get("dev", 2)).state is ReleaseState.FAILED
    assert statuses(deployment)["rollback"] == "success"


async def test_rollback_stops_dependents_first(orchestrator, engine):
    await orchestrator.run(deploy("v1"))
    engine.behaviour["v2", "web"] = UNHEALTHY
    engine.calls.clear()
    await orchestrator.run(deploy("v2"))
    assert [subject for name, subject in engine.calls if name == "stop"] == ["web", "store"]


async def test_failure_under_observation_fails_deployment(orchestrator, engine, environment):
    engine.stack = {"web": service("web")}
    await orchestrator.run(deploy("v1"))
    object.__setattr__(engine.stack["web"], "monitor_seconds", 30.0)
    deployment = await orchestrator.start(deploy("v2"))
    await phase_reached(orchestrator, deployment.id, PhaseName.VERIFICATION)
    engine.become("web", *UNHEALTHY)
    ended = await orchestrator.wait(deployment.id)
    assert ended.outcome is Outcome.ROLLED_BACK
    assert ended.phase(PhaseName.VERIFICATION).status is PhaseStatus.FAILED


async def test_restart_under_observation_fails_deployment(orchestrator, engine):
    """A service that came back healthy has failed all the same."""
    engine.stack = {"web": service("web")}
    await orchestrator.run(deploy("v1"))
    object.__setattr__(engine.stack["web"], "monitor_seconds", 30.0)
    deployment = await orchestrator.start(deploy("v2"))
    await phase_reached(orchestrator, deployment.id, PhaseName.VERIFICATION)
    waiting = asyncio.create_task(orchestrator.wait(deployment.id))
    while not waiting.done():  # what it restarted before it was looked at does not count
        await asyncio.wait({waiting}, timeout=0.05)
        for container in [one for one in engine.running.values() if one.image_reference == "web:v2"]:
            engine.running[container.id] = replace(container, restart_count=container.restart_count + 1)
            engine.tell("web")
    ended = await waiting
    assert ended.outcome is Outcome.ROLLED_BACK
    assert "it restarted while it was observed" in ended.problem.message


async def test_rollback_removes_added_service(orchestrator, engine):
    engine.stack = {"web": service("web")}
    await orchestrator.run(deploy("v1"))
    engine.stack = {"added": service("added"), "web": service("web", "added")}
    engine.behaviour["v2", "web"] = UNHEALTHY
    deployment = await orchestrator.run(deploy("v2"))
    assert deployment.outcome is Outcome.ROLLED_BACK
    assert "added" in engine.started()
    assert engine.versions() == {"web": "web:v1"}
    assert len(engine.running) == 1


async def test_failed_rollback_needs_operator(orchestrator, engine, state):
    await orchestrator.run(deploy("v1"))
    engine.behaviour["v2", "web"] = UNHEALTHY
    engine.behaviour["v1", "web"] = UNHEALTHY
    deployment = await orchestrator.run(deploy("v2"))
    assert deployment.outcome is Outcome.FAILED
    assert "The rollback failed too" in deployment.problem.message
    assert "/rollback dev" in deployment.problem.hint
    assert await state.locks.get("dev") is None


async def test_transient_faults_retried(orchestrator, engine):
    engine.faults["look_up_images"] = [EngineUnavailableError("busy"), EngineUnavailableError("busy")]
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
    engine.faults["create"] = [EngineUnavailableError("busy")]
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.SUCCEEDED
    written = [change.new for change in await state.changes("dev") if change.subject == "store"]
    assert written.count("creating") == 2


async def test_engine_restart_awaited_in_rollback(orchestrator, engine):
    await orchestrator.run(deploy("v1"))
    engine.behaviour["v2", "web"] = UNHEALTHY
    engine.faults["refresh_credentials"] = [EngineUnavailableError("away"), EngineUnavailableError("away")]
    deployment = await orchestrator.run(deploy("v2"))
    assert deployment.outcome is Outcome.ROLLED_BACK, deployment.problem
    assert engine.versions() == {"store": "store:v1", "web": "web:v1"}


async def test_transient_retries_limited(orchestrator, engine):
    engine.faults["look_up_images"] = [EngineUnavailableError("busy") for _ in range(9)]
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


async def test_failed_critical_check_reports_all(orchestrator, engine, components):
    """It stops the deployment, and all failures are reported."""
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


async def test_warnings_kept_and_stop_nothing(orchestrator, components):
    components.validator.results = (CheckResult("health", Severity.WARNING, False, "web has no health check"),)
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.SUCCEEDED
    assert any("web has no health check" in warning for warning in deployment.warnings)


async def test_second_deployment_refused(orchestrator, engine):
    engine.hold = asyncio.Event()
    first = await orchestrator.start(deploy("v1"))
    with pytest.raises(LockHeldError, match="dora"):
        await orchestrator.start(deploy("v2"))
    engine.hold.set()
    assert (await orchestrator.wait(first.id)).outcome is Outcome.SUCCEEDED


async def test_cancel_before_changes_leaves_all(orchestrator, engine, state):
    engine.hold = asyncio.Event()
    deployment = await orchestrator.start(deploy("v1"))
    await phase_reached(orchestrator, deployment.id, PhaseName.PREPARATION)
    await orchestrator.cancel(deployment.id, DORA)
    ended = await orchestrator.wait(deployment.id)
    assert ended.outcome is Outcome.CANCELLED
    assert ended.phase(PhaseName.PREPARATION).status is PhaseStatus.CANCELLED
    assert engine.running == {}
    assert await state.locks.get("dev") is None


async def test_cancel_midway_restores_old_release(orchestrator, engine):
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


async def test_automatic_rollback_not_cancellable(orchestrator, engine, state, monkeypatch):
    await orchestrator.run(deploy("v1"))
    engine.behaviour |= {("v2", "web"): UNHEALTHY, ("v1", "store"): STARTING}
    monkeypatch.setattr("roas.deployment.run.CANCEL_POLL_SECONDS", 0.05)
    update = state.deployments.update

    async def cancelled_just_before(changed, fence):
        if changed.problem is not None and (await state.deployments.get(changed.id)).problem is None:
            await state.deployments.request_cancel(changed.id, DORA)
        await update(changed, fence)

    monkeypatch.setattr(state.deployments, "update", cancelled_just_before)
    deployment = await orchestrator.start(deploy("v2"))
    await phase_reached(orchestrator, deployment.id, PhaseName.ROLLBACK)
    await service_reached(orchestrator, deployment.id, "store", ServiceStep.WAITING)
    with pytest.raises(InvalidRequestError, match="being rolled back already"):
        await orchestrator.cancel(deployment.id, DORA)
    orchestrator._running.request_stop(deployment.id)  # as from a watcher that had just read the request
    await asyncio.sleep(0.2)  # the journal is asked several times meanwhile whether somebody cancelled
    engine.become("store", *HEALTHY)
    ended = await orchestrator.wait(deployment.id)
    assert ended.outcome is Outcome.ROLLED_BACK, ended.problem
    assert engine.versions() == {"store": "store:v1", "web": "web:v1"}


async def test_requested_rollback_cancellable(orchestrator, engine):
    """A cancelled one leaves the release that ran."""
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


async def test_phase_timeout_names_awaited(orchestrator, engine, monkeypatch):
    from roas.deployment import orchestrator as module
    from roas.models.coordination import PhasePolicy

    short = tuple(PhasePolicy(p.name, 0.2) if p.name is PhaseName.EXECUTION else p for p in STANDARD.phases)
    table = {**module.COORDINATIONS, DeploymentKind.DEPLOY: replace(STANDARD, phases=short)}
    monkeypatch.setattr(module, "COORDINATIONS", table)
    engine.behaviour["v1", "store"] = STARTING
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.ROLLED_BACK
    assert "execution did not end within 0.2 s" in deployment.problem.message
    assert "store (waiting)" in deployment.problem.message


async def test_requested_rollback_restores_previous(orchestrator, engine, state):
    await orchestrator.run(deploy("v1"))
    await orchestrator.run(deploy("v2"))
    engine.calls.clear()
    deployment = await orchestrator.run(rollback(reason="slow"))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert engine.versions() == {"store": "store:v1", "web": "web:v1"}
    assert (await state.releases.current("dev")).number == 1
    assert {"pull", "build", "look_up_images"}.isdisjoint(name for name, _ in engine.calls)
    assert list(statuses(deployment)) == [policy.name.value for policy in ROLLBACK.phases]


async def test_rollback_without_previous_refused(orchestrator):
    with pytest.raises(InvalidRequestError, match="no release before"):
        await orchestrator.start(rollback())


async def test_rollback_to_unknown_release_refused(orchestrator):
    await orchestrator.run(deploy("v1"))
    with pytest.raises(InvalidRequestError, match="r9"):
        await orchestrator.start(rollback(target_release=9))


async def test_hotfix_pulls_and_makes_release(orchestrator, engine, state):
    """It runs its three phases."""
    await orchestrator.run(deploy("v1"))
    deployment = await orchestrator.run(hotfix("v2"))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert list(statuses(deployment)) == [policy.name.value for policy in HOTFIX.phases]
    assert ("pull", "web:v2") in engine.calls
    assert (await state.releases.current("dev")).version == "v2"


async def test_failed_hotfix_rolled_back(orchestrator, engine):
    await orchestrator.run(deploy("v1"))
    engine.behaviour["v2", "web"] = UNHEALTHY
    assert (await orchestrator.run(hotfix("v2"))).outcome is Outcome.ROLLED_BACK
    assert engine.versions()["web"] == "web:v1"


async def test_hotfix_needs_reason(orchestrator):
    with pytest.raises(InvalidRequestError, match="reason"):
        await orchestrator.start(hotfix("v2", reason=" "))


@pytest.mark.parametrize("version", ["", "-v", "a b", "x" * 129, "$(id)", "--privileged", None])
async def test_invalid_version_refused(orchestrator, version):
    with pytest.raises(InvalidRequestError, match="not a valid version"):
        await orchestrator.start(deploy(version))


async def test_unknown_environment_lists_known_ones(orchestrator):
    with pytest.raises(InvalidRequestError, match="moon") as refusal:
        await orchestrator.start(DeploymentRequest("moon", DeploymentKind.DEPLOY, DORA, version="v1"))
    assert "dev" in refusal.value.hint


async def test_only_named_services_change(orchestrator, engine):
    await orchestrator.run(deploy("v1"))
    deployment = await orchestrator.run(deploy("v2", services=("web",)))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert engine.versions() == {"store": "store:v1", "web": "web:v2"}


async def test_named_services_need_current_release(orchestrator):
    deployment = await orchestrator.run(deploy("v1", services=("web",)))
    assert deployment.outcome is Outcome.FAILED
    assert "no release yet" in deployment.problem.message


async def test_removed_service_is_removed(orchestrator, engine):
    await orchestrator.run(deploy("v1"))
    engine.stack = {"store": engine.stack["store"]}
    # The old model still names web, so that the fake has to know it for the plan.
    engine.definitions = lambda model: {n: service(n) for n in model["services"]}
    await orchestrator.run(deploy("v2"))
    assert engine.versions() == {"store": "store:v2"}


async def test_outdated_plan_refused(orchestrator, engine):
    plan = await orchestrator.plan(deploy("v1"))
    await orchestrator.run(deploy("v0"))
    deployment = await orchestrator.run(deploy("v1", plan_digest=plan.digest))
    assert deployment.outcome is Outcome.FAILED
    assert deployment.problem.key == ImageChangedError.key
    assert engine.versions()["web"] == "web:v0"


async def test_plan_changes_nothing(orchestrator, engine, state):
    plan = await orchestrator.plan(deploy("v1"))
    assert [service.service for service in plan.changed] == ["store", "web"]
    assert engine.running == {}
    assert await state.deployments.list() == ()


async def test_untouched_unhealthy_service_fails_if_critical(orchestrator, engine):
    """One that is not critical only warns."""
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


async def test_unexpected_fault_ends_deployment(orchestrator, engine, monkeypatch, state):
    await orchestrator.run(deploy("v1"))

    async def break_down(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(engine, "draft_release", break_down)
    deployment = await orchestrator.run(deploy("v2"))
    assert deployment.outcome is Outcome.FAILED
    assert deployment.problem.key == "internal_fault"
    assert await state.locks.get("dev") is None


async def test_old_releases_dropped_kept_ones_protected(orchestrator, engine, components):
    components.settings.releases_kept = 2
    for number in range(1, 5):
        await orchestrator.run(deploy(f"v{number}"))
    assert engine.protected == {3, 4}


async def test_restored_release_kept_despite_failures(orchestrator, engine, components):
    """A release that is restored is not dropped, however many failed since."""
    components.settings.releases_kept = 2
    engine.behaviour |= {("bad", "web"): UNHEALTHY}
    for version in ("v1", "bad", "bad", "v2"):
        await orchestrator.run(deploy(version))
    assert (await orchestrator.run(rollback())).outcome is Outcome.SUCCEEDED
    assert engine.versions()["web"] == "web:v1"
    assert 1 in engine.protected
    assert await components.state.releases.get("dev", 1) in await components.state.releases.list("dev")


async def test_events_carry_correlation_id(orchestrator, bus):
    deployment = await orchestrator.run(deploy())
    own = [event for event in bus.history() if getattr(event, "deployment_id", "") == deployment.id]
    assert {event.correlation_id for event in own} == {deployment.correlation_id}
    types = [event.type for event in own]
    assert types[0] in {"deployment.phase.changed", "deployment.initialization.started"}
    assert types[-1] == "deployment.orchestration.completed"
    assert {"environment.validation.completed", "release.created", "deployment.service.started"} <= set(types)


async def test_sequential_services_run_one_by_one(orchestrator, engine, components):
    engine.stack = {"a": service("a"), "b": service("b")}
    engine.behaviour["v1", "a"] = STARTING
    components.settings.parallel_execution = False
    deployment = await orchestrator.start(deploy("v1"))
    await service_reached(orchestrator, deployment.id, "a", ServiceStep.WAITING)
    assert engine.started() == ["a"]
    engine.become("a", *HEALTHY)
    await orchestrator.wait(deployment.id)
    assert engine.started() == ["a", "b"]


async def test_parallel_services_do_not_wait(orchestrator, engine):
    """With parallel_execution, independent services do not wait for each other."""
    engine.stack = {"a": service("a"), "b": service("b")}
    engine.behaviour["v1", "a"] = STARTING
    deployment = await orchestrator.start(deploy("v1"))
    await service_reached(orchestrator, deployment.id, "b", ServiceStep.HEALTHY)
    engine.become("a", *HEALTHY)
    assert (await orchestrator.wait(deployment.id)).outcome is Outcome.SUCCEEDED


async def test_immediate_exit_reports_code(orchestrator, engine):
    engine.behaviour["v1", "store"] = (ContainerState.RESTARTING, HealthStatus.NONE)
    deployment = await orchestrator.start(deploy("v1"))
    await service_reached(orchestrator, deployment.id, "store", ServiceStep.WAITING)
    for container_id, container in list(engine.running.items()):
        engine.running[container_id] = replace(container, restart_count=5, exit_code=3)
    engine.become("store", ContainerState.RESTARTING, HealthStatus.NONE)
    ended = await orchestrator.wait(deployment.id)
    assert "is in a restart loop with code 3" in ended.problem.message


async def test_old_restarts_ignored(orchestrator, engine):
    await orchestrator.run(deploy("v1"))
    for container_id, container in list(engine.running.items()):
        engine.running[container_id] = replace(container, restart_count=5)
    deployment = await orchestrator.run(deploy("v2", services=("web",)))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem


async def test_failed_build_reported(orchestrator, engine, monkeypatch):
    async def look_up(stack, services):
        return {name: WantedImage(f"{name}:v1", build_hash="b") for name in services}

    monkeypatch.setattr(engine, "look_up_images", look_up)
    engine.faults["build"] = [BuildFailedError("the build of store failed", report="step 3")]
    deployment = await orchestrator.run(deploy("v1"))
    assert deployment.outcome is Outcome.FAILED
    assert deployment.problem.report == "step 3"


async def test_moved_tag_makes_another_plan(orchestrator, engine, monkeypatch):
    plan = await orchestrator.plan(deploy("v1"))
    assert (await orchestrator.plan(deploy("v1"))).digest == plan.digest

    async def moved(stack, services):
        return {name: WantedImage(f"{name}:v1", digest=f"{name}@sha256:moved", must_pull=True) for name in services}

    monkeypatch.setattr(engine, "look_up_images", moved)
    assert (await orchestrator.plan(deploy("v1"))).digest != plan.digest


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


async def test_all_changed_services_counted(orchestrator, components, environment, engine):
    """The process that goes on counts what the one before it did, too."""
    await orchestrator.run(deploy("v1"))
    engine.behaviour["v2", "web"] = STARTING
    deployment = await orchestrator.start(deploy("v2"))
    await service_reached(orchestrator, deployment.id, "web", ServiceStep.WAITING)
    await orchestrator.close()
    engine.become("web", *HEALTHY)
    later = DeploymentOrchestrator(components, {"dev": environment})
    await later.resume()
    ended = await later.wait(deployment.id)
    assert ended.phase(PhaseName.EXECUTION).summary == "2 of 2 services changed"


async def test_reboot_not_blamed_on_new_version(orchestrator, components, environment, engine):
    """After a reboot the next bot finds the services starting: they get ready, and are observed from then on."""
    await orchestrator.run(deploy("v1"))
    for one in engine.stack.values():
        object.__setattr__(one, "monitor_seconds", 0.2)
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
    assert [one for one in components.bus.history() if isinstance(one, DeploymentEnded) and one.abandoned]


@pytest.fixture
def refusing(state, monkeypatch):
    """Let the journal take nothing of how far a deployment has come, until it is undone."""

    async def refuse(*_: object, **__: object) -> None:
        raise JournalUnusableError("The disk is full.")

    with monkeypatch.context() as patched:
        for write in ("save_service", "save_phase", "finish"):
            patched.setattr(state.deployments, write, refuse)
        yield patched


async def test_journal_refusals_count_no_attempt(orchestrator, refusing, monkeypatch):
    monkeypatch.setattr("roas.deployment.resume_backoff.RESUMPTION", Retries(0, 0))
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
    monkeypatch.setattr("roas.deployment.resume_backoff.RESUMPTION", Retries(0, 0))
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


async def test_plan_survives_adoption(orchestrator, engine):
    """A plan made before a running environment was adopted still holds."""
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
