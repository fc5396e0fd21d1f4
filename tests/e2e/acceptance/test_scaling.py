"""A service is scaled by a person: today's number stays until the files say another one, and is in no release."""

import asyncio

import pytest

from roas.errors import InvalidRequestError
from roas.models.deployment import DeploymentKind, Operation, Outcome
from roas.models.health import Verdict
from testbed.compose_labels import SERVICE_LABEL
from tests.e2e.acceptance.people import ANNA, request, succeeded
from tests.e2e.acceptance.stack import alone
from tests.e2e.acceptance.trouble import until


def ask(service: str, replicas: int, **more):
    """Ask for a number of replicas."""
    operation = {"operation": Operation.SCALE, "services": (service,), "replicas": replicas}
    return request(DeploymentKind.DEPLOY, **operation, **more)


async def scale(people, service: str, replicas: int, **more):
    """Ask for that, and wait for the end."""
    return await people.application.orchestrator.run(ask(service, replicas, **more))


async def health_of(application, service: str):
    """Return how a service is."""
    health = await application.collector.collect_all_metrics(application.environments["dev"])
    return next(item for item in health.services if item.service == service)


def count(stack, service: str = "web") -> int:
    """Return how many containers of a service run."""
    return sum(container.status == "running" for container in stack.containers("dev", f"{SERVICE_LABEL}={service}"))


async def scaled(application) -> dict[str, int]:
    """Return what the journal says is scaled."""
    return {name: scale.replicas for name, scale in (await application.state.scales.of("dev")).items()}


async def test_number_is_kept_until_the_files_say_another(people, stack, images, application):
    await application.maintenance.start()
    stack.write({"web": alone()})
    await people.succeed("v1")
    before = stack.ids()
    plan = await application.orchestrator.plan(ask("web", 3))
    assert [(item.service, item.action, [*item.reasons]) for item in plan.services] == [
        ("web", "adjust", ["3 replicas; its files say 1"])
    ]
    ended = succeeded(await scale(people, "web", 3, reason="the fair", plan_digest=plan.digest))
    assert ended.id.startswith("SCALE-")
    assert before.items() <= stack.ids().items(), "nothing was replaced"
    assert (count(stack), await scaled(application)) == (3, {"web": 3})
    assert len(await application.state.releases.list("dev")) == 1, "it makes no release"
    seen = await health_of(application, "web")
    assert (seen.verdict, seen.reason) == (Verdict.HEALTHY, "passes its health check (3 of 3)")
    assert seen.note.startswith("was scaled to 3 by dora, ")
    assert seen.note.endswith(": the fair")
    (same,) = (await application.orchestrator.plan(request(DeploymentKind.DEPLOY, "dev", "v1"))).changed or [None]
    assert same is None, "the same version once more changes nothing"

    plan = await application.orchestrator.plan(request(DeploymentKind.DEPLOY, "dev", "v2"))
    (warning,) = (text for text in plan.warnings if "scaled" in text)
    assert warning.endswith(": the fair. It keeps that number, whatever its files say.")
    succeeded(await people.deploy("v2", plan_digest=plan.digest))
    assert (count(stack), set(stack.images().values())) == (3, {images["v2"]})
    plan = await application.orchestrator.plan(request(DeploymentKind.ROLLBACK))
    assert [text for text in plan.warnings if "It keeps that number" in text]
    succeeded(await people.rollback())
    assert (count(stack), set(stack.images().values())) == (3, {images["v1"]})
    assert await application.state.alerts.open("dev") == ()
    health = await application.collector.collect_all_metrics(application.environments["dev"])
    assert health.drift == ()

    await asyncio.to_thread(stack.manually, "up", "-d", VERSION="v1")  # goes by the files alone
    assert count(stack) == 1

    async def is_told() -> bool:
        return (await health_of(application, "web")).reason == "has 1 of 3 containers"

    await until(is_told)
    succeeded(await people.deploy("v1"))
    assert count(stack) == 3

    stack.write({"web": alone(deploy={"replicas": 2})})
    plan = await application.orchestrator.plan(request(DeploymentKind.DEPLOY, "dev", "v2"))
    assert [text for text in plan.warnings if "From now on it has 2 replicas, as its files say." in text]
    succeeded(await people.deploy("v2", plan_digest=plan.digest))
    assert (count(stack), await scaled(application)) == (2, {})
    succeeded(await people.rollback())
    assert count(stack) == 1, "no release knows that it was ever scaled"


@pytest.mark.long
async def test_scale_that_fails_goes_back_to_the_number_before(people, stack, application):
    """Only the first of its containers finds the folder free."""
    frail = alone(command=["sh", "-c", "mkdir /data/one || exit 3; exec /serve"], volumes=["data:/data"], init=None)
    stack.write({"web": frail, "store": alone()}, volumes={"data": {}})
    await people.succeed("v1")
    before = stack.ids()
    ended = await scale(people, "web", 3)
    assert ended.outcome is Outcome.ROLLED_BACK
    assert "web" in ended.problem.message
    assert stack.ids() == before
    assert await scaled(application) == {}
    assert (await health_of(application, "web")).verdict is Verdict.HEALTHY
    assert (await application.orchestrator.plan(request(DeploymentKind.DEPLOY, "dev", "v1"))).changed == ()


@pytest.mark.long
async def test_scale_to_none_waits_for_the_second_person(people, stack, application):
    await application.maintenance.start()
    needs = {"store": {"condition": "service_healthy"}}
    stack.write(
        {"store": alone(), "web": alone(depends_on=needs), "fixed": alone(container_name=f"{stack.base_name}-x")}
    )
    await people.succeed("v1")
    plan = await application.orchestrator.plan(ask("store", 0))
    assert [str(warning) for warning in plan.warnings] == ["web needs store, and goes on without."]
    waiting = await scale(people, "store", 0, reason="moving", needs_approval=True)
    assert waiting.awaits_approval
    assert (count(stack, "store"), await scaled(application)) == (1, {})
    approved = await application.orchestrator.approve(waiting.id, ANNA)
    succeeded(await application.orchestrator.wait(approved.id))
    assert (count(stack, "store"), await scaled(application)) == (0, {"store": 0})
    seen = await health_of(application, "store")
    assert (seen.verdict, seen.reason) == (Verdict.HEALTHY, "has no containers, as it should")
    with pytest.raises(InvalidRequestError, match="store was scaled to 0 by dora"):
        await people.application.orchestrator.run(
            request(DeploymentKind.DEPLOY, operation=Operation.START, services=("store",))
        )
    await people.succeed("v2")
    assert count(stack, "store") == 0
    succeeded(await scale(people, "store", 1))
    assert (count(stack, "store"), await scaled(application)) == (1, {})
    release = await application.state.releases.current("dev")
    plan = await application.orchestrator.plan(request(DeploymentKind.DEPLOY, "dev", "v2"))
    assert (plan.changed, plan.to_release) == ((), release.number), "as its files say, to the letter"
    assert await application.state.alerts.open("dev") == ()
    for service, replicas, why in (
        ("fixed", 2, "allows only one"),
        ("web", -1, "a number from 0 to 1000"),
        ("web", 1001, "a number from 0 to 1000"),
        ("web", None, "a number from 0"),
    ):
        with pytest.raises(InvalidRequestError, match=why):
            await scale(people, service, replicas)
