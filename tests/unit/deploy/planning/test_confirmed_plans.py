"""What was confirmed is what is done: another plan and a frozen environment are refused before anything happens."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.errors import ImageChangedError, InvalidRequestError
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import DeploymentKind, DeploymentRequest, Freeze, Operation, Outcome
from roas.models.release import ImagePin, ReleaseService, ReleaseState
from roas.models.stack import Obstacle, ObstacleKind
from roas.stack.interface import PinnedStack
from roas.stack.service_comparison import ContainerDifference
from roas.state.deployments.locks import FrozenError
from tests.unit.deploy.fake_engine import UNHEALTHY
from tests.unit.deploy.requested import DORA, deploy, hotfix, rollback


async def test_rollback_bound_to_plan(orchestrator, state):
    for version in ("v1", "v2"):
        await orchestrator.run(deploy(version))
    plan = await orchestrator.plan(rollback())
    assert plan.to_release == 1
    bound = rollback(target_release=plan.to_release, plan_digest=plan.digest)
    await orchestrator.run(deploy("v3"))
    with pytest.raises(ImageChangedError, match="on another release than when this was planned: r3"):
        await orchestrator.start(bound)
    assert (await state.releases.current("dev")).version == "v3"


async def test_rollback_with_valid_plan_runs(orchestrator, state):
    for version in ("v1", "v2"):
        await orchestrator.run(deploy(version))
    plan = await orchestrator.plan(rollback())
    done = await orchestrator.run(rollback(target_release=plan.to_release, plan_digest=plan.digest))
    assert done.outcome is Outcome.SUCCEEDED
    assert (await state.releases.current("dev")).version == "v1"


async def test_plan_names_what_refuses_it(orchestrator, engine, monkeypatch):
    resolve = engine.resolve
    held = Obstacle(ObstacleKind.SERVICE_NAME, "The name is held.", "Remove it.")

    async def resolve_beside_others(*arguments, **options):
        return replace(await resolve(*arguments, **options), obstacles=(held,))

    monkeypatch.setattr(engine, "resolve", resolve_beside_others)
    plan = await orchestrator.plan(deploy("v1"))
    assert plan.refusals == ("The name is held.",)
    assert "The name is held." in plan.warnings, "the release before reads these"
    assert plan.cautions == tuple(warning for warning in plan.warnings if warning != "The name is held.")


@pytest.mark.parametrize("request_", [deploy("v2"), rollback()])
async def test_frozen_environment_refuses_deployment(orchestrator, state, request_: DeploymentRequest):
    for version in ("v0", "v1"):
        await orchestrator.run(deploy(version))
    await state.freezes.put(Freeze("dev", DORA, "the fair", datetime.now(UTC)))
    with pytest.raises(FrozenError, match="the fair"):
        await orchestrator.start(request_)
    assert await state.locks.get("dev") is None
    await state.freezes.lift("dev", DORA)
    assert (await orchestrator.run(request_)).outcome is Outcome.SUCCEEDED


async def test_partial_deployment_rolled_back_to_source(orchestrator, engine, state):
    """What broke off half-way goes back to the release that it came from."""
    for version in ("v0", "v1"):
        await orchestrator.run(deploy(version))
    with pytest.raises(InvalidRequestError, match="is on r2 already"):
        await orchestrator.plan(rollback(target_release=2))
    engine.behaviour["v2", "web"] = UNHEALTHY
    engine.behaviour["v1", "store"] = UNHEALTHY
    assert (await orchestrator.run(deploy("v2"))).outcome is Outcome.FAILED
    assert engine.versions() == {"store": "store:v2", "web": "web:v2"}
    engine.behaviour.clear()
    plan = await orchestrator.plan(rollback())
    assert plan.to_release == 2
    assert "was interrupted" in plan.warnings[0]
    done = await orchestrator.run(rollback(target_release=2, plan_digest=plan.digest))
    assert done.outcome is Outcome.SUCCEEDED, done.problem
    assert engine.versions() == {"store": "store:v1", "web": "web:v1"}
    assert (await orchestrator.plan(rollback())).to_release == 1


async def test_audit_names_requester_and_approver(orchestrator, state):
    anna = replace(DORA, id="2", name="anna")
    await orchestrator.run(deploy("v1", approved_by=anna))
    await orchestrator.run(hotfix("v2"))
    audit = {change.new: change.metadata for change in await state.changes("dev") if change.new}
    assert audit["deployment asked for"]["approved_by"] == "anna"
    alone = audit["hotfix asked for, without a second person's approval"]
    assert alone["by"] == "dora"
    assert alone["kind"] == DeploymentKind.HOTFIX.value
    assert "approved_by" not in alone


async def test_release_is_restored_after_a_hand(orchestrator, state, engine):
    """The release that the environment is on is refused while it runs, and brought back once a hand changed it."""
    for version in ("v1", "v2"):
        await orchestrator.run(deploy(version))
    with pytest.raises(InvalidRequestError, match="is on r2 already"):
        await orchestrator.plan(rollback(target_release=2))
    engine.running = {
        key: replace(found, config_hash="by hand") if found.service == "web" else found
        for key, found in engine.running.items()
    }
    plan = await orchestrator.plan(rollback(target_release=2))
    assert [service.service for service in plan.changed] == ["web"]
    assert any("changed by hand is brought back" in warning for warning in plan.warnings)
    done = await orchestrator.run(rollback(target_release=2, plan_digest=plan.digest))
    assert done.outcome is Outcome.SUCCEEDED, done.problem
    assert (await state.releases.current("dev")).number == 2
    assert {found.config_hash for found in engine.running.values()} != {"by hand"}


@pytest.fixture
async def changed_by_hand(orchestrator, state, engine):
    """Deploy, and let a hand run another image of `web`; returns the release of before."""
    await orchestrator.run(deploy("v1"))
    engine.running = {
        key: replace(found, config_hash="web:mine", image_reference="web:mine") if found.service == "web" else found
        for key, found in engine.running.items()
    }
    current = await state.releases.current("dev")
    mine = ReleaseService("web", ImagePin("web:mine", "sha256:mine"), "d")
    others = (service for service in current.services if service.name != "web")
    engine.adoptable = PinnedStack("adopted", (mine, *others), "web:mine")
    return current


KEEP = replace(deploy(), version=None, operation=Operation.KEEP)


async def test_what_was_changed_in_place_is_not_restored(orchestrator, engine, monkeypatch):
    """It stays until its container is recreated: whoever asks is told how."""
    await orchestrator.run(deploy("v1"))
    (web,) = [found.id for found in engine.running.values() if found.service == "web"]

    async def differences(*_: object) -> dict[str, ContainerDifference]:
        return {web: ContainerDifference(changed=("memory",))}

    monkeypatch.setattr(engine, "differences", differences)
    with pytest.raises(InvalidRequestError, match="is on r1 already") as refused:
        await orchestrator.plan(rollback(target_release=1))
    assert "roas compose dev -- up -d --force-recreate web" in refused.value.hint


async def test_what_runs_is_kept_as_a_release(orchestrator, state, engine, changed_by_hand):
    """No container is touched; the release before stays the way back."""
    plan = await orchestrator.plan(KEEP)
    assert [service.service for service in plan.services] == ["web"]
    assert not plan.changed
    assert any("web is kept" in warning for warning in plan.warnings)
    calls, running = len(engine.calls), dict(engine.running)
    done = await orchestrator.run(replace(KEEP, plan_digest=plan.digest))
    assert done.outcome is Outcome.SUCCEEDED, done.problem
    assert engine.running == running
    assert not {"create", "start", "stop", "remove"} & {name for name, _subject in engine.calls[calls:]}
    release = await state.releases.current("dev")
    assert (release.state, release.version, release.replaces) == (ReleaseState.SUCCEEDED, "v1", changed_by_hand.number)
    assert release.service("web").image.reference == "web:mine"
    assert {service.name for service in release.services} == {service.name for service in changed_by_hand.services}
    with pytest.raises(InvalidRequestError, match="runs as r2 has it"):
        await orchestrator.plan(KEEP)
    assert (await orchestrator.plan(rollback())).to_release == changed_by_hand.number


@pytest.mark.parametrize("written", range(1, 6))
async def test_keep_of_a_dead_process_is_taken_up(
    orchestrator, components, environment, state, engine, changed_by_hand, written, monkeypatch
):
    """Whatever it wrote last before it died, the next one keeps the same, once, and touches no container."""
    plan, running, reached, seen = await orchestrator.plan(KEEP), dict(engine.running), asyncio.Event(), []
    write, person = state._journal.write, asyncio.current_task()

    async def die(work, **fence):
        result = await write(work, **fence)
        if asyncio.current_task() is not person:
            seen.append(work)
            if len(seen) >= written:
                reached.set()
                await asyncio.Event().wait()
        return result

    with monkeypatch.context() as patched:
        patched.setattr(state._journal, "write", die)
        deployment = await orchestrator.start(replace(KEEP, plan_digest=plan.digest))
        await asyncio.wait_for(reached.wait(), 10)
        await orchestrator.close()
    successor = DeploymentOrchestrator(components, {"dev": environment})
    await successor.resume()
    done = await successor.wait(deployment.id)
    assert done.outcome is Outcome.SUCCEEDED, done.problem
    assert engine.running == running
    releases = [release for release in await state.releases.list("dev") if release.state is ReleaseState.SUCCEEDED]
    assert [release.service("web").image.reference for release in releases] == ["web:mine", "web:v1"]


async def test_what_runs_is_not_kept_where_it_changed_again(orchestrator, state, engine, changed_by_hand):
    plan = await orchestrator.plan(KEEP)
    engine.running = {
        key: replace(found, config_hash="web:other") if found.service == "web" else found
        for key, found in engine.running.items()
    }
    done = await orchestrator.run(replace(KEEP, plan_digest=plan.digest))
    assert done.outcome is Outcome.CANCELLED
    assert "web changed since this was planned" in done.problem.message
    assert (await state.releases.current("dev")).number == changed_by_hand.number


async def test_what_runs_is_kept_once_approved(orchestrator, state, engine, changed_by_hand):
    plan = await orchestrator.plan(KEEP)
    asked = replace(KEEP, plan_digest=plan.digest, needs_approval=True, interaction_id="PLAN-1")
    waiting = await orchestrator.run(asked)
    assert waiting.outcome is None
    assert (await state.releases.current("dev")).number == changed_by_hand.number
    approved = await orchestrator.approve(waiting.id, Actor(ActorKind.DISCORD, "2", "alice"))
    done = await orchestrator.wait(approved.id)
    assert done.outcome is Outcome.SUCCEEDED, done.problem
    assert (await state.releases.current("dev")).service("web").image.reference == "web:mine"
