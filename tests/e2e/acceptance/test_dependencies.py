"""Services start in the order that they need, and what may be missing does not stand in the way."""

from testbed.ports import free_port
from tests.e2e.acceptance.people import request, succeeded
from tests.e2e.acceptance.stack import REPOSITORY, alone, service

V1 = f"{REPOSITORY}:v1"
HEALTHY = {"condition": "service_healthy"}
EXITS = alone(image=f"{REPOSITORY}:exits", healthcheck=None)


def state(stack, name: str) -> dict:
    """Return the state of a service's container, as the engine tells it."""
    return stack.container(name).attrs["State"]


def in_order(stack, *names: str) -> bool:
    """Tell whether services were started one after the other."""
    started = [state(stack, name)["StartedAt"] for name in names]
    return started == sorted(started)


def write(stack, port: int, **more) -> None:
    """Write chains, one-shots, profiles that are not active, a cycle that is none and probes: all in one stack.

    What is not about a change of version stays on v1.
    """
    still = {"image": V1}
    probe = {"kind": "required", "probe": f"tcp://127.0.0.1:{port}", "timeout": "20s"}
    migrated, optional = {"condition": "service_completed_successfully"}, HEALTHY | {"required": False}
    ends = {"image": f"{REPOSITORY}:ends", "healthcheck": None}
    plain = {
        "a": alone(),
        "b": alone(depends_on={"a": HEALTHY | {"restart": True}}, **still),
        "c": alone(depends_on={"a": HEALTHY, "b": HEALTHY}, **still),
        "migrate": alone(environment={"FOR": "${VERSION}"}, **ends),
        # A one-shot service that no other depends on is declared by x-deploy.
        "once": alone(**ends, **{"x-deploy": {"one_shot": True}}),
        "cache": alone(**still),
        "off": alone(profiles=["full"]),
        "web": alone(depends_on={"migrate": migrated, "cache": optional, "off": optional}),
        "scraper": alone(**still, **{"x-deploy": {"depends_on": {"site": {"kind": "soft"}}}}),
        "site": alone(depends_on={"scraper": HEALTHY}, **still),
        "unchecked": alone(healthcheck=None, **still),
        "store": service(ports=[f"127.0.0.1:{port}:8080"], **still),
        "shop": alone(**still, **{"x-deploy": {"depends_on": {"store": probe}}}),
    }
    stack.write(plain | more)


async def test_services_wait_for_what_they_need(people, stack, images, long_lane):
    """One stack: started at first, with nothing to change, with a new version, and back.

    In the long lane, with a failed migration, too.
    """
    port = free_port()
    write(stack, port)
    await first_deployment_starts_all_in_order(people, stack)
    first = stack.ids()
    await people.succeed("v1")
    assert stack.ids() == first
    await restart_dependency_restarts_dependents(people, stack, images, port)
    if long_lane:
        await failed_migration_is_rolled_back(people, stack, port)


async def first_deployment_starts_all_in_order(people, stack):
    deployment = await people.succeed("v1")
    run = {name.removesuffix("-1") for name in stack.ids()}
    assert run == {
        *("a", "b", "c", "migrate", "once", "cache", "web"),
        *("scraper", "site", "unchecked", "store", "shop"),
    }
    for once in ("migrate", "once"):
        assert (state(stack, once)["Status"], state(stack, once)["ExitCode"]) == ("exited", 0)
    for names in (("a", "b", "c"), ("scraper", "site"), ("store", "shop")):
        assert in_order(stack, *names), names
    assert state(stack, "migrate")["FinishedAt"] < state(stack, "web")["StartedAt"]
    assert any("closes a cycle" in warning for warning in deployment.warnings)
    assert "unverified" in deployment.phases[4].summary
    steps = {one.service: one.step for one in deployment.services}
    assert [name for name, step in steps.items() if step == "unverified"] == ["unchecked"]


async def restart_dependency_restarts_dependents(people, stack, images, port):
    """Of who depends on what is replaced, only who says so is restarted; what is optional may be gone by then."""
    ids, started = stack.ids(), state(stack, "b")["StartedAt"]
    write(stack, port, cache=alone(image=V1, healthcheck={"disable": True}, deploy={"replicas": 0}))
    plan = await people.application.orchestrator.plan(request("DEPLOY", version="v2"))
    planned = {one.service: one.action.value for one in plan.services}
    assert (planned["a"], planned["b"], planned["c"]) == ("recreate", "restart", "keep")
    await people.succeed("v2")
    assert (image_of(stack, "a"), image_of(stack, "web")) == (images["v2"], images["v2"])
    now = stack.ids()
    assert {name for name, item in now.items() if item != ids[name]} == {"a-1", "migrate-1", "web-1"}
    assert "cache-1" not in now
    assert in_order(stack, "a", "b")
    again = state(stack, "b")["StartedAt"]
    assert again > started
    assert state(stack, "migrate")["FinishedAt"] < state(stack, "web")["StartedAt"]
    succeeded(await people.rollback())
    assert image_of(stack, "a") == images["v1"]
    assert state(stack, "b")["StartedAt"] > again
    assert stack.ids()["c-1"] == ids["c-1"]


def image_of(stack, name: str) -> str:
    return str(stack.container(name).attrs["Image"])


async def failed_migration_is_rolled_back(people, stack, port):
    """It keeps its dependents from starting."""
    before = stack.ids()
    write(stack, port, migrate=EXITS, a=alone(image=V1))
    deployment = await people.deploy("v3")
    assert deployment.outcome == "rolled_back"
    assert deployment.problem.service == "migrate"
    assert "code 3" in deployment.problem.message
    assert "cannot go on" in deployment.problem.report
    assert stack.ids()["web-1"] == before["web-1"]
