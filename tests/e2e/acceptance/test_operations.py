"""Restart, stop and start of single services, judged by Docker: what was asked for happens, and nothing else."""

import asyncio
from datetime import UTC, datetime

import pytest

from roas.app.application import open_application
from roas.errors import InvalidRequestError
from roas.models.deployment import DeploymentKind, Freeze, Operation, Outcome
from roas.models.health import Verdict
from roas.models.plan import ServiceAction
from roas.state.deployments.locks import FrozenError, LockHeldError
from testbed.compose_labels import PROJECT_LABEL
from tests.e2e.acceptance.people import ANNA, People, request, succeeded
from tests.e2e.acceptance.stack import CHECK, WATCHED_CHECK, alone
from tests.e2e.acceptance.trouble import until

# What hands changed is kept of all services, and names none; a backup on its schedule changes none.
OF_SERVICES = tuple(operation for operation in Operation if operation not in {Operation.KEEP, Operation.SAVE})


def ask(operation: Operation, *services: str, **more):
    """Ask for an operation on services of dev; a scale is to three."""
    if operation is Operation.SCALE:
        more.setdefault("replicas", 3)
    return request(DeploymentKind.DEPLOY, operation=operation, services=services, **more)


async def operate(people, operation: Operation, *services: str, **more):
    """Ask, and wait for the end."""
    return await people.application.orchestrator.run(ask(operation, *services, **more))


def runs_since(stack) -> dict[str, str]:
    """Return since when each container runs, by service; empty where it does not."""
    states = {one.labels["com.docker.compose.service"]: one.attrs["State"] for one in stack.containers()}
    return {name: state["StartedAt"] if state["Running"] else "" for name, state in states.items()}


def write_shop(stack) -> None:
    """Write a shop of three: web needs store, and mail nothing."""
    needs = {"store": {"condition": "service_healthy", "restart": True}}
    stack.write({"store": alone(), "web": alone(depends_on=needs), "mail": alone(restart="always")})


@pytest.fixture
async def deployed(people, stack):
    """Deploy the shop."""
    write_shop(stack)
    succeeded(await people.deploy("v1"))
    return stack


async def test_restarts_what_was_named_and_what_says_so(people, deployed):
    before, ids = runs_since(deployed), deployed.ids()
    ended = succeeded(await operate(people, Operation.RESTART, "store", reason="it leaks"))
    after = runs_since(deployed)
    assert deployed.ids() == ids, "no container was replaced"
    assert {name for name in after if after[name] != before[name]} == {"store", "web"}, "web says `restart: true`"
    assert (ended.from_release, ended.to_release) == (1, 1)
    assert ended.id.startswith("RESTART-")
    assert len(await people.application.state.releases.list("dev")) == 1, "it makes no release"


async def test_stopped_service_stays_so_until_it_is_deployed(settings, stack):
    """Over a restart of the bot, too: it raises no alert and needs no recovery; what goes on without it is told before.

    The plan of the next deployment says that it is started.
    """
    write_shop(stack)
    async with open_application(settings) as application:
        succeeded(await People(application).deploy("v1"))
        await application.maintenance.start()
        plan = await application.orchestrator.plan(ask(Operation.STOP, "store", reason="moving house"))
        assert [str(warning) for warning in plan.warnings] == ["web needs store, and goes on without."]
        ids = stack.ids()
        stop = ask(Operation.STOP, "store", "mail", reason="moving house", plan_digest=None)
        succeeded(await application.orchestrator.run(stop))
        await is_stopped(application, stack, "store", "mail")
    async with open_application(settings) as application:
        await application.maintenance.start()
        await is_stopped(application, stack, "store", "mail")
        succeeded(await operate(People(application), Operation.START, "mail"))
        await is_stopped(application, stack, "store")
        plan = await application.orchestrator.plan(request(DeploymentKind.DEPLOY, "dev", "v1"))
        assert [(s.service, s.action) for s in plan.changed if s.service != "web"] == [("store", ServiceAction.START)]
        succeeded(await People(application).deploy("v1"))
        assert all(runs_since(stack).values()), "the next deployment brings it back"
        assert stack.ids() == ids
        assert await application.state.stops.of("dev") == {}
        assert await application.state.alerts.open("dev") == ()


async def is_stopped(application, stack, *services: str) -> None:
    """Wait until services count as stopped by a person, and look that nothing is said or done about it."""

    async def is_told() -> bool:
        health = await application.collector.collect_all_metrics(application.environments["dev"])
        found = {service.service: service for service in health.services}
        return all(
            found[name].verdict is Verdict.HEALTHY
            and "was stopped by dora" in found[name].reason
            and found[name].reason.endswith(": moving house")
            for name in services
        )

    await until(is_told)
    assert {name for name, since in runs_since(stack).items() if not since} == set(services)
    assert (await application.state.stops.of("dev")).keys() == set(services)
    assert await application.state.alerts.open("dev") == ()


@pytest.mark.long
async def test_what_a_person_starts_is_stopped_no_more(people, deployed, application):
    await application.maintenance.start()
    succeeded(await operate(people, Operation.STOP, "mail"))
    await asyncio.to_thread(deployed.container("mail").start)

    async def is_forgotten() -> bool:
        return await application.state.stops.of("dev") == {}

    await until(is_forgotten)


@pytest.mark.long
async def test_start_brings_what_is_needed(people, deployed):
    succeeded(await operate(people, Operation.STOP, "web", "store"))
    await asyncio.to_thread(deployed.container("mail").stop, timeout=1)  # by hand
    succeeded(await operate(people, Operation.START, "web", "mail"))
    assert all(runs_since(deployed).values())


@pytest.mark.long
async def test_start_runs_no_job_that_is_done(people, stack):
    """Nothing of it is left, as after `docker container prune`; whoever names it wants it."""
    job = alone(command=["sh", "-c", "echo ran >>/data/runs"], volumes=["data:/data"], healthcheck={"disable": True})
    needs = {"migrate": {"condition": "service_completed_successfully"}}
    web = alone(depends_on=needs, volumes=["data:/data"])
    stack.write({"migrate": job, "web": web, "mail": alone()}, volumes={"data": {}})
    succeeded(await people.deploy("v1"))
    succeeded(await operate(people, Operation.STOP, "web"))
    stack.client.containers.prune({"label": [f"{PROJECT_LABEL}={stack.project()}"]})
    plan = await people.application.orchestrator.plan(ask(Operation.START, "web"))
    assert [service.service for service in plan.services] == ["web"]
    succeeded(await operate(people, Operation.START, "web", plan_digest=plan.digest))
    assert stack.read("web", "/data/runs").split() == ["ran"]
    for runs in (2, 3):  # nothing of it is there, and then what has ended
        plan = await people.application.orchestrator.plan(ask(Operation.RESTART, "migrate"))
        assert "it is a job, and runs" in plan.services[0].reasons, plan.services
        succeeded(await operate(people, Operation.RESTART, "migrate", plan_digest=plan.digest))
        assert stack.read("web", "/data/runs").split() == ["ran"] * runs


@pytest.mark.long
async def test_service_that_does_not_come_back_fails_the_restart(people, deployed):
    """There is no other release to go back to; the one that runs is named."""
    deployed.write({"frail": alone(command=["sh", "-c", "mkdir /tmp/once || exit 3; exec /serve"], init=None)})
    succeeded(await people.deploy("v1"))
    ended = await operate(people, Operation.RESTART, "frail")
    assert ended.outcome is Outcome.FAILED
    assert "frail" in ended.problem.message
    assert (await people.application.state.releases.current("dev")).number == ended.from_release


async def test_same_lock_and_freeze_as_a_deployment(people, deployed, application):
    deployed.write({"mail": alone(healthcheck=WATCHED_CHECK | {"test": ["CMD", "false"], "retries": 60})})
    under_way = await application.orchestrator.start(request(DeploymentKind.DEPLOY, "dev", "v2"))
    with pytest.raises(LockHeldError):
        await application.orchestrator.start(ask(Operation.STOP, "mail"))
    await application.orchestrator.cancel(under_way.id, ANNA)
    await application.orchestrator.wait(under_way.id)
    deployed.write({"mail": alone(healthcheck=CHECK)})
    for operation in OF_SERVICES:
        with pytest.raises(InvalidRequestError, match="The stack has no service nobody"):
            await application.orchestrator.start(ask(operation, "nobody"))
    await application.state.freezes.put(Freeze("dev", ANNA, "holidays", datetime.now(UTC)))
    for operation in OF_SERVICES:
        with pytest.raises(FrozenError):
            await application.orchestrator.start(ask(operation, "mail"))


async def test_stop_waits_for_the_second_person(people, deployed, application):
    """Nothing is held meanwhile, and exactly that is carried out once it is approved."""
    waiting = await operate(people, Operation.STOP, "mail", needs_approval=True)
    assert waiting.awaits_approval
    assert await application.state.locks.get("dev") is None
    assert runs_since(deployed)["mail"]
    approved = await application.orchestrator.approve(waiting.id, ANNA)
    succeeded(await application.orchestrator.wait(approved.id))
    assert runs_since(deployed)["mail"] == ""
    assert (await application.state.stops.of("dev"))["mail"].stopped_by.name == "dora"


@pytest.mark.long
async def test_what_was_stopped_fails_no_work_on_others(people, stack):
    """Not even where it is critical: nobody is surprised that it does not run."""
    stack.write({"store": alone(**{"x-deploy": {"critical": True}}), "mail": alone()})
    succeeded(await people.deploy("v1"))
    succeeded(await operate(people, Operation.STOP, "store"))
    succeeded(await operate(people, Operation.RESTART, "mail"))
    stack.write({"store": alone(**{"x-deploy": {"critical": True}}), "mail": alone(labels={"a": "b"})})
    ended = succeeded(await people.deploy("v1", services=("mail",)))
    assert not [warning for warning in ended.warnings if "unhealthy" in warning]
    assert runs_since(stack)["store"] == ""


@pytest.mark.long
@pytest.mark.parametrize("operation", OF_SERVICES)
async def test_one_whose_bot_died_is_ended_by_the_next(settings, stack, operation):
    """It is resumed as the same deployment, and does what was asked for."""
    patient = {"test": ["CMD-SHELL", "sleep 2"], "interval": "5s", "timeout": "5s", "start_period": "20s"}
    stack.write(
        {
            "mail": alone(
                healthcheck=patient, init=None, command=["sh", "-c", "trap 'sleep 2; exit' TERM; sleep 99 & wait"]
            )
        }
    )
    async with open_application(settings) as application:
        succeeded(await People(application).deploy("v1"))
        if operation is Operation.START:
            succeeded(await operate(People(application), Operation.STOP, "mail"))
        before = runs_since(stack)["mail"]
        started = await application.orchestrator.start(ask(operation, "mail"))

        async def is_under_way() -> bool:
            known = await application.state.deployments.get(started.id)
            return known is not None and known.touched

        await until(is_under_way)
    async with open_application(settings) as application:
        (taken,) = await application.orchestrator.resume()
        assert taken.id == started.id
        succeeded(await application.orchestrator.wait(taken.id))
    after = runs_since(stack)["mail"]
    assert bool(after) is (operation is not Operation.STOP)
    assert after != before
    assert len(stack.containers()) == (3 if operation is Operation.SCALE else 1)
