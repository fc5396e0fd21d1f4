"""What lacks containers is created together, and started once all of it is there."""

import pytest

from roas.errors import EngineError, EngineUnavailableError
from roas.models.deployment import Outcome
from tests.unit.deploy.fake_engine import FakeEngine
from tests.unit.deploy.played_parts import service
from tests.unit.deploy.requested import deploy


@pytest.fixture
def engine():
    return FakeEngine({name: service(name) for name in ("first", "second")} | {"third": service("third", "first")})


async def test_each_intent_is_written_before_anything_is_created(orchestrator, engine, state):
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert sorted(engine.started()) == ["first", "second", "third"]
    assert engine.started().index("first") < engine.started().index("third")
    steps = [change.new for change in await state.changes("dev")]
    creating = [place for place, step in enumerate(steps) if step == "creating"]
    assert len(creating) == 3
    assert max(creating) < min(place for place, step in enumerate(steps) if step == "starting")


async def test_a_fault_of_creating_is_the_deployments(orchestrator, engine):
    engine.faults["create_missing"] = [EngineError("second has a port that is taken", service="second")]
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is not Outcome.SUCCEEDED
    assert deployment.problem.message == "second has a port that is taken"
    assert engine.started() == []


async def test_an_engine_that_is_away_for_a_moment_is_asked_again(orchestrator, engine):
    engine.faults["create_missing"] = [EngineUnavailableError("busy")]
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert engine.started().count("first") == 1
