"""What was confirmed is what is done: another plan and a frozen environment are refused before anything happens."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from roas.errors import ImageChangedError, InvalidRequestError
from roas.models.deployment import DeploymentKind, DeploymentRequest, Freeze, Outcome
from roas.models.stack import Obstacle, ObstacleKind
from roas.state.locks import FrozenError
from tests.unit.deploy.fake_engine import UNHEALTHY
from tests.unit.deploy.requested import DORA, deploy, hotfix, rollback


async def test_rollback_bound_to_plan(orchestrator, state):
    for version in ("v1", "v2"):
        await orchestrator.run(deploy(version))
    plan = await orchestrator.plan(rollback())
    assert plan.to_release == 1
    bound = rollback(target_release=plan.to_release, plan_digest=plan.digest)
    await orchestrator.run(deploy("v3"))
    with pytest.raises(ImageChangedError, match="is on r3 by now, and was on r2"):
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
