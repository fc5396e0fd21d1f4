"""A deployment goes on while what it saw is written: the next intent is in the same commit, or in none."""

import pytest

from roas.errors import JournalUnusableError
from roas.models.deployment import Outcome, ServiceStep
from roas.models.health import ContainerState, HealthStatus
from tests.unit.deployment.fake_engine import HEALTHY
from tests.unit.deployment.requested import deploy, service_reached


async def test_intent_shares_the_commit_of_what_was_seen_before(orchestrator, engine, state):
    engine.behaviour["v1", "store"] = (ContainerState.RUNNING, HealthStatus.STARTING)
    deployment = await orchestrator.start(deploy())
    await service_reached(orchestrator, deployment.id, "store", ServiceStep.WAITING)
    statements = []
    state._journal._connection.set_trace_callback(statements.append)
    engine.become("store", *HEALTHY)
    assert (await orchestrator.wait(deployment.id)).outcome is Outcome.SUCCEEDED
    changes = await state.changes("dev")
    seen, intent = (
        next(number for number, one in enumerate(statements) if changed.id in one)
        for changed in changes
        if (changed.subject, changed.new) in {("store", "healthy"), ("web", "starting")}
    )
    assert seen < intent
    assert "COMMIT" not in statements[seen:intent]


async def test_nothing_is_started_where_what_was_seen_before_is_not_written(orchestrator, engine, state, monkeypatch):
    save = state.deployments.save_service

    async def refuse_one(deployment, progress, fence, **how):
        if (progress.service, progress.step) == ("store", ServiceStep.HEALTHY):
            raise JournalUnusableError("The disk is full.")
        await save(deployment, progress, fence, **how)

    monkeypatch.setattr(state.deployments, "save_service", refuse_one)
    deployment = await orchestrator.start(deploy())
    with pytest.raises(JournalUnusableError):
        await orchestrator.wait(deployment.id)
    assert ("start", "store") in engine.calls
    assert ("start", "web") not in engine.calls


async def test_all_that_was_seen_is_written_before_the_end(orchestrator, state, monkeypatch):
    """Also where nothing comes after it with which it would share a commit."""
    monkeypatch.setattr("roas.state.journal.HELD_SECONDS", 1000)
    deployment = await orchestrator.run(deploy())
    steps = {one.service: one.step for one in (await state.deployments.get(deployment.id)).services}
    assert steps == {"store": ServiceStep.HEALTHY, "web": ServiceStep.HEALTHY}
