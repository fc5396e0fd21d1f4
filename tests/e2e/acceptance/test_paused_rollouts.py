"""A rollout that pauses keeps what is healthy, waits for a person, and then does what that person says."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from roas.errors import InvalidRequestError, LockHeldError
from roas.models.deployment import Deployment, DeploymentKind, Outcome, ServiceStep
from roas.models.rollout import Choice, RolloutState
from tests.e2e.acceptance.people import ANNA, DORA, request
from tests.e2e.acceptance.stack import WATCHED_CHECK, service

pytestmark = pytest.mark.engine

FIRST_ONE_FAILS = "if mkdir /marks/$$VERSION 2>/dev/null; then export BEHAVIOUR=unhealthy; fi; exec /serve"


def web(**update: object) -> dict:
    """Return a service of three replicas that pauses where a new one fails; the first one of v2 does."""
    deploy = {"replicas": 3, "update_config": {"failure_action": "pause", "parallelism": 1} | update}
    command = ["sh", "-c", FIRST_ONE_FAILS]
    return service(deploy=deploy, command=command, volumes=["marks:/marks"], environment={"VERSION": "${VERSION}"})


async def paused(application, version: str = "v2") -> Deployment:
    """Deploy a version of which a replica fails, and wait for the pause."""
    started = await application.orchestrator.start(request(DeploymentKind.DEPLOY, "dev", version))
    return await waiting(application, started.id)


async def waiting(application, deployment_id: str) -> Deployment:
    """Wait until a deployment waits for a person."""
    async with asyncio.timeout(60):
        while True:
            found = await application.state.deployments.get(deployment_id)
            assert not found.finished, found.problem
            if found.is_waiting:
                return found
            await asyncio.sleep(0.05)


@pytest.fixture
async def running(people, stack) -> Callable[..., Awaitable[None]]:
    """Bring three replicas of v1 up, of which none fails."""

    async def bring_up(**update: object) -> None:
        stack.write({"web": web(**update)}, volumes={"marks": {}})
        stack.manually("run", "--rm", "--no-deps", "web", "mkdir", "/marks/v1", VERSION="v1")
        await people.succeed("v1")

    return bring_up


def images_of(stack) -> list[str]:
    return [one.attrs["Image"] for one in stack.containers()]


async def test_pause_keeps_what_is_healthy_and_goes_on(application, stack, images, running):
    await running()
    found = await paused(application)
    assert sorted(images_of(stack)) == sorted([images["v1"]] * 2 + [images["v2"]])
    (progress,) = found.services
    assert (progress.step, progress.rollout.state) == (ServiceStep.PAUSED, RolloutState.PAUSED)
    assert "1 of 3 new replicas failed" in found.pause.message
    assert found.pause.report
    with pytest.raises(LockHeldError) as refused:
        await application.orchestrator.start(request(DeploymentKind.DEPLOY, "dev", "v3"))
    assert "It is paused" in refused.value.message
    assert "roas go-on dev" in refused.value.hint
    await application.orchestrator.decide(found.id, Choice.GO_ON, ANNA)
    ended = await application.orchestrator.wait(found.id)
    assert ended.outcome is Outcome.SUCCEEDED, ended.problem
    assert images_of(stack) == [images["v2"]] * 3
    assert "1 of 3 new replicas of web failed; a person let the rollout go on." in ended.warnings
    assert ended.pauses[0].decision.decided_by == ANNA


async def test_paused_rollout_is_rolled_back(application, stack, images, running):
    await running(order="start-first")
    before = set(stack.ids().values())
    found = await paused(application)
    assert before < set(stack.ids().values()), "start-first, the old one of what failed goes on"
    await application.orchestrator.decide(found.id, Choice.ROLL_BACK, ANNA, pause=1)
    ended = await application.orchestrator.wait(found.id)
    assert ended.outcome is Outcome.ROLLED_BACK
    assert "anna took it back" in ended.problem.message
    assert set(stack.ids().values()) == before
    with pytest.raises(InvalidRequestError):
        await application.orchestrator.decide(found.id, Choice.GO_ON, ANNA)


async def test_cancelling_a_paused_rollout_rolls_it_back(application, stack, images, running):
    """A decision is about one pause: what is said of another one changes nothing."""
    await running()
    found = await paused(application)
    with pytest.raises(InvalidRequestError):
        await application.orchestrator.decide(found.id, Choice.GO_ON, ANNA, pause=2)
    await application.orchestrator.cancel(found.id, DORA)
    ended = await application.orchestrator.wait(found.id)
    assert ended.outcome is Outcome.CANCELLED
    assert list(stack.images().values()) == [images["v1"]] * 3


async def test_late_failure_pauses_too(application, people, stack, images):
    """What fails in the monitored time after the last replica: all are replaced by then, and a person is asked."""
    deploy = {"replicas": 2, "update_config": {"failure_action": "pause", "monitor": "8s"}}
    stack.write({"web": service(deploy=deploy, healthcheck=WATCHED_CHECK)})
    await people.succeed("v1")
    found = await paused(application, "fades")
    assert images_of(stack) == [images["fades"]] * 2
    await application.orchestrator.decide(found.id, Choice.ROLL_BACK, ANNA)
    assert (await application.orchestrator.wait(found.id)).outcome is Outcome.ROLLED_BACK
    assert list(stack.images().values()) == [images["v1"]] * 2
