"""A plan that is made while a deployment goes on knows what is that one's work, and what is a hand's."""

from dataclasses import replace

from roas.models.deployment import Outcome
from tests.unit.deploy.requested import deploy


async def test_what_a_deployment_has_just_changed_was_not_changed_by_hand(orchestrator, engine, monkeypatch):
    await orchestrator.run(deploy("v1"))
    start, plans = engine.start, []

    async def plan_then_start(container_id):
        if engine.running[container_id].service == "web" and not plans:
            plans.append(await orchestrator.plan(deploy("v3")))
        await start(container_id)

    monkeypatch.setattr(engine, "start", plan_then_start)
    assert (await orchestrator.run(deploy("v2"))).outcome is Outcome.SUCCEEDED
    (web,) = (service for service in plans[0].services if service.service == "web")
    assert web.reasons == ("the deployment that is under way has changed it",)


async def test_what_a_hand_changed_is_said_when_none_goes_on(orchestrator, engine):
    await orchestrator.run(deploy("v1"))
    for key, service in list(engine.running.items()):
        if service.service == "web":
            engine.running[key] = replace(service, config_hash="another")
    (web,) = (one for one in (await orchestrator.plan(deploy("v2"))).services if one.service == "web")
    assert web.reasons == ("it was changed by hand: its container is not as r1 has it",)
