"""A rollback brings the release before back, whole, and says where it could not."""

import asyncio
from dataclasses import replace

import pytest

from roas.errors import (
    ImageNotFoundError,
    InvalidRequestError,
)
from roas.limits import ROLLBACK
from roas.models.deployment import Outcome, PhaseStatus, ServiceStep
from roas.models.health import ContainerState, HealthStatus
from roas.models.phases import PhaseName
from roas.models.release import ReleaseState
from roas.models.stack import Obstacle, ObstacleKind
from tests.unit.deploy.fake_engine import HEALTHY, STARTING, UNHEALTHY, FakeEngine
from tests.unit.deploy.played_parts import service
from tests.unit.deploy.requested import DORA, deploy, hotfix, phase_reached, rollback, service_reached, statuses


class Pruned(FakeEngine):
    """Lose the image of one service of one version between the look at it and the creation of its container."""

    lost = ""

    async def create_service(self, model_hash, service, **options):
        if self.models[model_hash]["services"][service]["image"] == self.lost:
            raise ImageNotFoundError(f"{self.lost} is gone from this machine", service=service)
        return await super().create_service(model_hash, service, **options)


@pytest.mark.parametrize("engine", [Pruned({"store": service("store"), "web": service("web", "store")})])
async def test_rollback_that_lost_an_image_is_put_back(orchestrator, engine, state):
    """A prune in its middle: what it had begun goes back to the release that ran, and nothing is left of two."""
    for version in ("v1", "v2"):
        await orchestrator.run(deploy(version))
    engine.lost = "web:v1"
    ended = await orchestrator.run(rollback())
    assert "web:v1 is gone" in ended.problem.message
    assert await is_on_v2(ended, engine, state)
    engine.lost = ""
    assert (await orchestrator.run(rollback())).outcome is Outcome.SUCCEEDED


async def test_way_back_to_what_others_removed_is_refused_before_it_begins(orchestrator, engine, state):
    for version in ("v1", "v2"):
        await orchestrator.run(deploy(version))
    engine.lacking = (Obstacle(ObstacleKind.EXTERNAL, "The external secret db does not exist.", "Create it."),)
    with pytest.raises(InvalidRequestError, match="The external secret db does not exist") as refused:
        await orchestrator.plan(rollback())
    assert refused.value.hint == "Create it."
    assert engine.versions() == {"store": "store:v2", "web": "web:v2"}


async def is_on_v2(ended, engine, state) -> bool:
    """See that a rollback has failed, says where that leaves everything, and is not taken for one that is on r1."""
    assert (ended.outcome, ended.brought_back) == (Outcome.FAILED, False)
    assert "dev is on r2: what was well before runs again" in ended.problem.hint
    assert engine.versions() == {"store": "store:v2", "web": "web:v2"}
    return (await state.releases.current("dev")).version == "v2"


@pytest.mark.parametrize("service", ["store", "web"])
async def test_rollback_to_what_is_not_well_is_put_back(orchestrator, engine, state, service):
    """Whether all of the old release ran by then or not: what was well before runs again."""
    for version in ("v1", "v2"):
        await orchestrator.run(deploy(version))
    engine.behaviour["v1", service] = UNHEALTHY
    assert await is_on_v2(await orchestrator.run(rollback()), engine, state)
    engine.behaviour.clear()
    assert (await orchestrator.run(rollback())).outcome is Outcome.SUCCEEDED, "once the cause is gone"


async def test_what_was_not_well_before_is_not_put_back(orchestrator, engine, state):
    """People go back from what is broken: what of that works now is not taken away, though another service failed."""
    for version in ("v1", "v2"):
        await orchestrator.run(deploy(version))
    engine.become("web", *UNHEALTHY)
    engine.behaviour["v1", "store"] = UNHEALTHY
    engine.stack["web"] = service("web")
    ended = await orchestrator.run(rollback())
    assert ended.outcome is Outcome.FAILED
    assert "web was not well before, and stays as the rollback left it" in ended.problem.hint
    assert engine.versions() == {"store": "store:v2", "web": "web:v1"}
    deployment, left = await state.deployments.left_by_failure("dev")
    assert (deployment, left) == (ended.id, {"store", "web"})


class Suspending(FakeEngine):
    """Let a paused container go on, as the engine does: its health check fails until it has run again."""

    async def create_service(self, model_hash, service, **options):
        paused = [c.id for c in self.running.values() if c.service == service and c.state is ContainerState.PAUSED]
        return tuple(paused) or await super().create_service(model_hash, service, **options)

    async def start(self, container_id):
        container = self.running[container_id]
        if container.state is ContainerState.PAUSED:
            self.become(container.service, *UNHEALTHY)
            asyncio.get_running_loop().call_later(0.2, self.become, container.service, *HEALTHY)
        else:
            await super().start(container_id)


@pytest.mark.parametrize("engine", [Suspending({"store": service("store"), "web": service("web", "store")})])
async def test_suspended_service_is_restored(orchestrator, engine):
    """Somebody pauses what a failed deployment goes back to."""
    await orchestrator.run(deploy("v1"))
    engine.become("web", ContainerState.PAUSED, HealthStatus.HEALTHY)
    engine.behaviour["v2", "store"] = UNHEALTHY
    ended = await orchestrator.run(deploy("v2"))
    assert ended.outcome is Outcome.ROLLED_BACK, ended.problem
    assert engine.versions() == {"store": "store:v1", "web": "web:v1"}


class RestartedBeside(FakeEngine):
    """An engine that is restarted at the end of a way back: its containers run on, and are checked anew."""

    async def remove_service(self, service, container_ids):
        await super().remove_service(service, container_ids)
        self.become("store", ContainerState.RUNNING, HealthStatus.STARTING)
        asyncio.get_running_loop().call_later(0.2, self.become, "store", *HEALTHY)


@pytest.mark.parametrize("engine", [RestartedBeside({"store": service("store"), "web": service("web", "store")})])
async def test_engine_restarted_at_the_end_is_waited_for(orchestrator, engine):
    """That what was brought back waits for a check says nothing of it: nobody else changed it."""
    await orchestrator.run(deploy("v1"))
    engine.stack = {**engine.stack, "added": service("added")}
    engine.behaviour["v2", "web"] = UNHEALTHY
    ended = await orchestrator.run(deploy("v2"))
    assert ended.outcome is Outcome.ROLLED_BACK, ended.problem
    assert engine.versions() == {"store": "store:v1", "web": "web:v1"}


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


async def test_rollback_replaces_one_after_the_other(orchestrator, engine):
    """What serves goes when its own turn has come, and only once the one in its place is well."""
    await orchestrator.run(deploy("v1"))
    engine.behaviour["v2", "web"] = UNHEALTHY
    engine.calls.clear()
    await orchestrator.run(deploy("v2"))
    done = [(name, subject) for name, subject in engine.calls if name in {"stop", "start", "remove"}]
    restored = done[done.index(("stop", "store")) :]
    assert restored == [("stop", "store"), ("start", "store"), ("remove", "store"), ("start", "web")]


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


@pytest.mark.usefixtures("hurried_time")
async def test_automatic_rollback_not_cancellable(orchestrator, engine, state, monkeypatch):
    await orchestrator.run(deploy("v1"))
    engine.behaviour |= {("v2", "web"): UNHEALTHY, ("v1", "store"): STARTING}
    monkeypatch.setattr("roas.deploy.pauses.CANCEL_POLL_SECONDS", 0.05)
    update = state.deployments.update

    async def cancelled_just_before(changed, fence, **named):
        if changed.problem is not None and (await state.deployments.get(changed.id)).problem is None:
            await state.deployments.request_cancel(changed.id, DORA)
        await update(changed, fence, **named)

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


async def test_requested_rollback_restores_previous(orchestrator, engine, state):
    await orchestrator.run(deploy("v1"))
    await orchestrator.run(deploy("v2"))
    engine.calls.clear()
    deployment = await orchestrator.run(rollback(reason="slow"))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert engine.versions() == {"store": "store:v1", "web": "web:v1"}
    assert (await state.releases.current("dev")).number == 1
    assert {"pull", "build", "look_up"}.isdisjoint(name for name, _ in engine.calls)
    assert list(statuses(deployment)) == [policy.name.value for policy in ROLLBACK.phases]


async def test_rollback_without_previous_refused(orchestrator):
    with pytest.raises(InvalidRequestError, match="no release before") as raised:
        await orchestrator.start(rollback())
    assert "`roas releases dev`" in raised.value.hint


async def test_rollback_to_unknown_release_refused(orchestrator):
    await orchestrator.run(deploy("v1"))
    with pytest.raises(InvalidRequestError, match="r9"):
        await orchestrator.start(rollback(target_release=9))


async def test_failed_hotfix_rolled_back(orchestrator, engine):
    await orchestrator.run(deploy("v1"))
    engine.behaviour["v2", "web"] = UNHEALTHY
    assert (await orchestrator.run(hotfix("v2"))).outcome is Outcome.ROLLED_BACK
    assert engine.versions()["web"] == "web:v1"
    plan = await orchestrator.plan(replace(rollback(), target_release=2))
    assert "r2 failed when it was deployed, and may fail again." in plan.warnings


async def test_one_service_goes_back_alone(orchestrator, engine, state):
    """As recovery asks for it: a release of its own, and all else stays as it is, drift too."""
    await orchestrator.run(deploy("v1"))
    await orchestrator.run(deploy("v2"))
    store = next(one for one in engine.running.values() if one.service == "store")
    engine.running[store.id] = replace(store, config_hash="changed by hand")
    deployment = await orchestrator.run(replace(rollback(), services=("web",), target_release=1))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert engine.versions() == {"store": "store:v2", "web": "web:v1"}
    assert store.id in engine.running
    current = await state.releases.current("dev")
    assert (current.number, current.state, current.version, deployment.to_release) == (
        3,
        ReleaseState.SUCCEEDED,
        "v2",
        3,
    )
    assert [one.image.reference for one in current.services] == ["store:v2", "web:v1"]


async def test_plan_of_one_service_goes_back_to_where_it_differs(orchestrator, engine, state):
    """As the button of an alert asks for it: what is confirmed is of that service alone."""
    for version in ("v1", "v2"):
        await orchestrator.run(deploy(version))
    await orchestrator.run(replace(deploy("v3"), services=("store",)))
    plan = await orchestrator.plan(replace(rollback(), services=("web",)))
    assert (plan.to_release, [one.service for one in plan.changed]) == (1, ["web"])
    confirmed = replace(rollback(), services=("web",), target_release=1, plan_digest=plan.digest)
    deployment = await orchestrator.run(confirmed)
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert engine.versions() == {"store": "store:v3", "web": "web:v1"}
    assert (await state.releases.current("dev")).number == 4


async def test_service_that_never_differed_does_not_go_back(orchestrator):
    await orchestrator.run(deploy("v1"))
    await orchestrator.run(replace(deploy("v2"), services=("store",)))
    with pytest.raises(InvalidRequestError, match="No earlier release has web otherwise than the current one"):
        await orchestrator.plan(replace(rollback(), services=("web",)))


async def test_one_service_that_does_not_get_well_fails(orchestrator, engine, state):
    await orchestrator.run(deploy("v1"))
    await orchestrator.run(deploy("v2"))
    engine.behaviour["v1", "web"] = UNHEALTHY
    deployment = await orchestrator.run(replace(rollback(), services=("web",), target_release=1))
    assert deployment.outcome is Outcome.FAILED
    assert engine.versions()["store"] == "store:v2"
    assert (await state.releases.get("dev", 3)).state is ReleaseState.FAILED
