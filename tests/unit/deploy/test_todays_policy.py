"""A rollback and a recovery ask today's policy; what is refused is refused before anything is touched."""

from types import SimpleNamespace
from typing import Any

import pytest

from roas.errors import ComposePolicyError
from roas.models.deployment import Outcome
from roas.models.recovery import Fault, FaultCategory, RecoveryAction
from roas.recovery.handler import ErrorHandler, RecoveryParts
from roas.stack.updating.deployment_manager import DeploymentManager
from tests.unit.deploy.fake_engine import UNHEALTHY
from tests.unit.deploy.requested import deploy, rollback
from tests.unit.recovery.played_checks import played_checks

REFUSED = ComposePolicyError(
    "The release asks for something that is not allowed here today:", hint="Deploy a version", entries=()
)
CHANGES = {"create", "start", "stop", "remove", "create_missing"}


async def test_a_rollback_is_refused_as_a_plan(orchestrator, engine):
    for version in ("v1", "v2"):
        await orchestrator.run(deploy(version))
    engine.faults["check"] = [REFUSED]
    with pytest.raises(ComposePolicyError, match="not allowed here today"):
        await orchestrator.plan(rollback())


async def test_a_refused_rollback_touches_nothing(orchestrator, engine):
    """The new version stays as it is, and the outcome says the way out."""
    await orchestrator.run(deploy("v1"))
    engine.behaviour["v2", "web"] = UNHEALTHY
    engine.faults["renew"] = [REFUSED]
    deployment = await orchestrator.run(deploy("v2"))
    assert deployment.outcome is Outcome.FAILED
    after = [name for name, _ in engine.calls[engine.calls.index(("renew", "")) :]]
    assert not CHANGES.intersection(after)
    assert any("not allowed here today" in warning for warning in (*deployment.warnings, *_problems(deployment)))


def _problems(deployment: Any) -> list[str]:
    found = [deployment.problem, *(phase.problem for phase in deployment.phases)]
    return [f"{problem.message} {problem.hint}" for problem in found if problem is not None]


@pytest.mark.parametrize("action", [RecoveryAction.RESTART, RecoveryAction.RECREATE])
async def test_a_recovery_asks_todays_policy(orchestrator, engine, state, environment, action):
    await orchestrator.run(deploy("v1"))
    manager = DeploymentManager()
    handler = ErrorHandler(RecoveryParts(engine, manager, state, SimpleNamespace(), played_checks(), orchestrator))
    fault = Fault("ALERT-1", "dev", "web", FaultCategory.PROCESS, "web has ended")
    engine.calls.clear()
    engine.faults["check"] = [REFUSED]
    problem = await handler._try(fault, environment, action)
    assert problem == REFUSED.message
    assert not CHANGES.intersection(name for name, _ in engine.calls)
