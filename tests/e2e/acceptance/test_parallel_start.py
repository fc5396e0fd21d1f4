"""Cancelling, dying and doing two things at once leave each environment whole, on one release."""

import asyncio

import pytest

from roas.app.application import open_application
from roas.errors import InvalidRequestError
from roas.models.deployment import DeploymentKind, Outcome, ServiceStep
from roas.models.environment import PolicyLevel
from roas.models.events import ServiceProgressed
from tests.e2e.acceptance.people import ANNA, DORA, People, request, succeeded, told
from tests.e2e.acceptance.stack import CHECK, REPOSITORY, alone

NEVER_HEALTHY = CHECK | {"test": ["CMD", "false"], "start_period": "60s", "start_interval": "1s"}
UNCHECKED = alone(healthcheck=None)


async def until_waiting(application, deployment_id: str, name: str) -> None:
    """Wait until the journal says that a service was started and is waited for."""
    reached = asyncio.Event()

    async def look(event) -> None:
        if (event.service, event.step) == (name, ServiceStep.WAITING):
            reached.set()

    subscription = application.bus.subscribe(ServiceProgressed, look, name="test")
    deployment = await application.state.deployments.get(deployment_id)
    if not any((service.service, service.step) == (name, "waiting") for service in deployment.services):
        await asyncio.wait_for(reached.wait(), 20)
    await application.bus.unsubscribe(subscription)


async def half_way(people, stack, *services):
    """Let v2 hang at web; returns the deployment."""
    stack.write({"store": UNCHECKED, "web": alone(healthcheck=NEVER_HEALTHY, depends_on=["store"])})
    asked = request(DeploymentKind.DEPLOY, version="v2", services=services)
    started = await people.application.orchestrator.start(asked)
    await until_waiting(people.application, started.id, "web")
    return started


async def test_cancelling_midway_keeps_old_release(people, stack, settings, images):
    """By the process that deploys, and by another one; what has ended is not cancelled."""
    orchestrator = people.application.orchestrator
    stack.write({"store": UNCHECKED, "web": UNCHECKED | {"depends_on": ["store"]}})
    first = await people.succeed("v1")
    started = await half_way(people, stack)
    assert stack.container("store").attrs["Image"] == images["v2"]
    await orchestrator.cancel(started.id, ANNA)
    deployment = await orchestrator.wait(started.id)
    assert deployment.outcome is Outcome.CANCELLED
    assert deployment.cancel_requested_by == ANNA
    assert by_service(stack) == {"store": images["v1"], "web": images["v1"]}
    assert (await people.application.state.releases.current("dev")).number == 1
    started = await half_way(people, stack, "web")
    async with open_application(settings, instance_prefix="CLI") as other:
        await other.orchestrator.cancel(started.id, DORA)
    assert (await orchestrator.wait(started.id)).outcome is Outcome.CANCELLED
    assert by_service(stack) == {"store": images["v1"], "web": images["v1"]}
    with pytest.raises(InvalidRequestError) as refused:
        await orchestrator.cancel(first.id, DORA)
    assert "ended already" in refused.value.message
    assert "/rollback" in refused.value.hint


@pytest.mark.long
async def test_abandoned_deployment_resumed(settings, stack, images):
    """What fails then is rolled back, and so is what was allowed when it began, and is not today."""
    settings = settings.model_copy(update={"compose_policy": PolicyLevel.STRICT})
    trusting = settings.model_copy(update={"compose_policy_allow": ("cap_add:web",)})
    async with open_application(trusting) as application:
        store = UNCHECKED | {"image": f"{REPOSITORY}:v1"}
        stack.write({"store": store, "web": UNCHECKED})
        await People(application).succeed("v1")
        stack.write({"store": store, "web": alone(healthcheck=NEVER_HEALTHY | {"start_period": "4s"})})
        started = await application.orchestrator.start(request(DeploymentKind.DEPLOY, version="v2"))
        await until_waiting(application, started.id, "web")
    async with open_application(trusting) as application:
        deployment = await resumed(application)
        assert deployment.id == started.id
        assert deployment.attempts == 2
        assert deployment.outcome is Outcome.ROLLED_BACK
        assert by_service(stack) == {"store": images["v1"], "web": images["v1"]}
        store_first = {"store": {"condition": "service_healthy"}}
        waiting = alone(healthcheck=NEVER_HEALTHY)
        stack.write({"store": waiting, "web": alone(cap_add=["SYS_ADMIN"], depends_on=store_first)})
        started = await application.orchestrator.start(request(DeploymentKind.DEPLOY, version="v2"))
        await until_waiting(application, started.id, "store")
    async with open_application(settings) as application:
        deployment = await resumed(application)
    assert deployment.outcome is Outcome.ROLLED_BACK
    assert "not allowed here today" in told(deployment)
    assert by_service(stack) == {"store": images["v1"], "web": images["v1"]}
    assert not stack.container("web").attrs["HostConfig"]["CapAdd"]


def by_service(stack):
    """Return the image of each service: what a rollback kept until its replacement was ready gave its number away."""
    return {name.rpartition("-")[0]: image for name, image in stack.images().items()}


async def resumed(application):
    """Take up what was abandoned, and return how it ended."""
    (taken,) = await application.orchestrator.resume()
    return await application.orchestrator.wait(taken.id)


@pytest.mark.long
async def test_two_environments_deploy_concurrently(people, stack, images):
    stack.put(".env.dev", "WHO=dev\n")
    stack.put(".env.staging", "WHO=staging\n")
    stack.write({"web": alone(environment={"WHO": "${WHO}"})})
    both = await asyncio.gather(people.deploy("v1", "dev"), people.deploy("v2", "staging", by=ANNA))
    for deployment in both:
        succeeded(deployment)
    assert stack.images("dev") == {"web-1": images["v1"]}
    assert stack.images("staging") == {"web-1": images["v2"]}
    assert (stack.variables("web", "dev")["WHO"], stack.variables("web", "staging")["WHO"]) == ("dev", "staging")
    dev = stack.ids("dev")
    failing, again = await asyncio.gather(people.deploy("exits", "staging"), people.deploy("v3", "dev"))
    assert (failing.outcome, again.outcome) == (Outcome.ROLLED_BACK, Outcome.SUCCEEDED)
    assert stack.images("dev") == {"web-1": images["v3"]}
    assert stack.images("staging") == {"web-1": images["v2"]}
    assert not set(dev.values()) & set(stack.ids("dev").values())
