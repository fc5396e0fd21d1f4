"""What was planned a moment ago to be started at once is not planned again; anything else is."""

from dataclasses import replace

import pytest

from roas.deployment import candidate
from roas.engine.interface import ReleaseDraft
from roas.errors import EngineUnavailableError, ImageChangedError
from roas.models.deployment import Outcome
from tests.unit.deployment.requested import deploy, hotfix

ASKED = ("resolve", "look_up_images")


@pytest.fixture
def asked(engine):
    """Return how often the files were resolved and the registries asked since the last time."""

    def since() -> tuple[int, ...]:
        found = tuple(sum(name == one for name, _ in engine.calls) for one in ASKED)
        engine.calls.clear()
        return found

    return since


@pytest.mark.parametrize("request_", [deploy("v2"), hotfix("v2"), deploy("v2", services=("web",))])
async def test_planned_to_start_is_deployed_as_planned(orchestrator, engine, asked, components, request_):
    await orchestrator.run(deploy("v1"))
    asked()
    plan = await orchestrator.plan(request_, to_start=True)
    assert asked() == (1, 1)
    looked_at = []

    class Noting(type(components.validator)):
        async def validate(self, environment, version=None, *, model_hash=None, found=None):
            looked_at.append(found)
            return await super().validate(environment, version)

    components.validator.__class__ = Noting
    ended = await orchestrator.run(replace(request_, plan_digest=plan.digest))
    assert ended.outcome is Outcome.SUCCEEDED
    assert asked() == (0, 0)
    assert looked_at[0].stack.version == "v2", "the checks look at what was resolved"
    assert engine.versions()["web"] == "web:v2"


async def test_plan_that_is_only_shown_is_made_again(orchestrator, asked):
    plan = await orchestrator.plan(deploy("v1"))
    asked()
    await orchestrator.run(deploy("v1", plan_digest=plan.digest))
    assert asked() == (1, 1)


@pytest.mark.parametrize(
    "changes", [{"version": "v2"}, {"services": ("web",)}, {"plan_digest": None}, {"kind": hotfix("v1").kind}]
)
async def test_another_request_is_planned(orchestrator, asked, changes):
    await orchestrator.run(deploy("v0"))
    request = deploy("v1", reason="it burns")
    plan = await orchestrator.plan(request, to_start=True)
    asked()
    ended = await orchestrator.run(replace(request, **{"plan_digest": plan.digest, **changes}))
    assert asked() == (1, 1)
    assert (ended.outcome is Outcome.FAILED) is ("version" in changes or "services" in changes), "it is another plan"


async def test_plan_is_taken_once(orchestrator, asked):
    plan = await orchestrator.plan(deploy("v1"), to_start=True)
    request = deploy("v1", plan_digest=plan.digest)
    await orchestrator.run(request)
    asked()
    ended = await orchestrator.run(request)
    assert asked() == (1, 1)
    assert ended.problem.key == ImageChangedError.key, "it runs already"


async def test_plan_of_a_while_ago_is_made_again(orchestrator, asked, monkeypatch):
    plan = await orchestrator.plan(deploy("v1"), to_start=True)
    asked()
    monkeypatch.setattr(candidate, "FRESH_SECONDS", 0.0)
    await orchestrator.run(deploy("v1", plan_digest=plan.digest))
    assert asked() == (1, 1)


async def test_another_release_meanwhile_is_seen(orchestrator, asked, engine):
    await orchestrator.run(deploy("v1"))
    plan = await orchestrator.plan(deploy("v2"), to_start=True)
    await orchestrator.run(hotfix("v3"))
    asked()
    ended = await orchestrator.run(deploy("v2", plan_digest=plan.digest))
    assert asked() == (1, 1)
    assert ended.problem.key == ImageChangedError.key
    assert engine.versions()["web"] == "web:v3"


async def test_what_is_adopted_meanwhile_is_compared_with(orchestrator, asked, engine):
    engine.models["found"] = {"services": {"web": {"image": "web:v0"}}}
    plan = await orchestrator.plan(deploy("v1"), to_start=True)
    engine.adoptable = ReleaseDraft("v0", (), "found")
    asked()
    await orchestrator.run(deploy("v1", plan_digest=plan.digest))
    assert asked() == (1, 1)


async def test_next_try_of_a_phase_plans_again(orchestrator, asked, engine):
    plan = await orchestrator.plan(deploy("v1"), to_start=True)
    asked()
    engine.faults["pull"] = [EngineUnavailableError("away")]
    ended = await orchestrator.run(deploy("v1", plan_digest=plan.digest))
    assert ended.outcome is Outcome.SUCCEEDED
    assert asked() == (1, 1)
