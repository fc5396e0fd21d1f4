"""What a shown plan would create is got ready for from the click on; what turns out to be otherwise is begun anew."""

import asyncio
from dataclasses import replace

import pytest

from roas.deployment import creation_ahead
from roas.models.deployment import Outcome
from tests.unit.deployment.played_parts import service
from tests.unit.deployment.requested import deploy
from tests.unit.deployment.test_head_start import Ready, count


@pytest.fixture
def engine():
    return Ready({"store": service("store"), "web": service("web", "store")})


async def show_and_plan(orchestrator, engine, shown, clicked):
    """Return the request that is bound to the plan of the click."""
    await orchestrator.plan(shown)
    engine.calls.clear()
    engine.ready.clear()
    plan = await orchestrator.plan(clicked, to_start=True)
    return replace(clicked, plan_digest=plan.digest)


async def test_click_gets_ready_while_it_is_planned_again(orchestrator, engine):
    request = await show_and_plan(orchestrator, engine, deploy("v1"), deploy("v1"))
    names = [name for name, _ in engine.calls]
    assert names.index("ready_to_create") < names.index("look_up_images")
    assert (await orchestrator.run(request)).outcome is Outcome.SUCCEEDED
    assert count(engine, "ready_to_create") == 1
    assert count(engine, "look") == count(engine, "ready no more") == 1


async def test_another_click_gets_ready_for_its_own_plan(orchestrator, engine):
    request = await show_and_plan(orchestrator, engine, deploy("v1"), deploy("v2"))
    assert (await orchestrator.run(request)).outcome is Outcome.SUCCEEDED
    assert [sorted(images.values()) for images, _ in engine.ready] == [["store:v2", "web:v2"]]


async def test_what_changed_since_it_was_shown_is_begun_anew(orchestrator, engine, monkeypatch):
    await orchestrator.plan(deploy("v1"))
    engine.ready.clear()
    engine.calls.clear()
    preview = engine.preview_release

    async def other(*arguments, **named):
        model = await preview(*arguments, **named)
        return {"services": {name: fields | {"labels": ["new"]} for name, fields in model["services"].items()}}

    monkeypatch.setattr(engine, "preview_release", other)
    plan = await orchestrator.plan(deploy("v1"), to_start=True)
    assert count(engine, "ready no more") == 1
    await orchestrator.run(deploy("v1", plan_digest=plan.digest))
    assert count(engine, "ready_to_create") == 2
    assert count(engine, "look") == 1


async def test_what_nobody_starts_ends_by_itself(orchestrator, engine, monkeypatch):
    monkeypatch.setattr(creation_ahead, "COMPOSE_WAITS_SECONDS", 0.01)
    await show_and_plan(orchestrator, engine, deploy("v1"), deploy("v1"))
    async with asyncio.timeout(5):
        await engine.ended.wait()
    assert not count(engine, "look")
    assert not engine.running


async def test_close_ends_what_was_begun_and_is_not_planned_to_its_end(orchestrator, engine):
    await orchestrator.plan(deploy("v1"))
    engine.faults["look_up_images"] = [RuntimeError("broken")]
    with pytest.raises(RuntimeError):
        await orchestrator.plan(deploy("v1"), to_start=True)
    await orchestrator.close()
    assert engine.ended.is_set()


async def test_close_ends_what_nobody_started(orchestrator, engine):
    """Such as for a click that the deployment lock refuses: a bot that is unloaded leaves no Compose."""
    await show_and_plan(orchestrator, engine, deploy("v1"), deploy("v1"))
    assert not engine.ended.is_set()
    await orchestrator.close()
    assert engine.ended.is_set()
