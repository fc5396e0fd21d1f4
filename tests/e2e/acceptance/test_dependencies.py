"""Services start in the order that they need, and what may be missing does not stand in the way."""

from roas.models.deployment import DeploymentKind, Outcome
from tests.e2e.acceptance.people import request, succeeded
from tests.e2e.acceptance.stack import REPOSITORY, alone, free_port, service

V1 = f"{REPOSITORY}:v1"


def state(stack, name: str) -> dict:
    """Return the state of a service's container, as the engine tells it."""
    return stack.container(name).attrs["State"]


async def test_migration_runs_once_before_dependents(people, stack, images):
    migrate = alone(image=f"{REPOSITORY}:ends", healthcheck=None, environment={"FOR": "${VERSION}"})
    web = alone(depends_on={"migrate": {"condition": "service_completed_successfully"}})
    stack.write({"migrate": migrate, "web": web})
    await people.succeed("v1")
    assert (state(stack, "migrate")["Status"], state(stack, "migrate")["ExitCode"]) == ("exited", 0)
    assert state(stack, "migrate")["FinishedAt"] < state(stack, "web")["StartedAt"]
    first = stack.ids()
    await people.succeed("v1")
    assert stack.ids() == first
    await people.succeed("v2")
    assert state(stack, "migrate")["FinishedAt"] < state(stack, "web")["StartedAt"]
    assert stack.ids()["migrate-1"] != first["migrate-1"]
    await failed_migration_is_rolled_back(people, stack, web)


async def failed_migration_is_rolled_back(people, stack, web):
    """It keeps its dependents from starting."""
    before = stack.ids()
    stack.write({"migrate": alone(image=f"{REPOSITORY}:exits", healthcheck=None), "web": web})
    deployment = await people.deploy("v3")
    assert deployment.outcome is Outcome.ROLLED_BACK
    assert deployment.problem.service == "migrate"
    assert "code 3" in deployment.problem.message
    assert "cannot go on" in deployment.problem.report
    assert stack.ids()["web-1"] == before["web-1"]


async def test_dependent_of_failed_service_not_started(people, stack, images):
    stack.write(
        {
            "store": alone(image=f"{REPOSITORY}:exits"),
            "web": alone(depends_on={"store": {"condition": "service_healthy"}}),
        }
    )
    deployment = await people.deploy("v1")
    assert deployment.outcome is Outcome.ROLLED_BACK
    assert deployment.problem.service == "store"
    assert "code 3" in deployment.problem.message
    assert stack.containers() == []


async def test_optional_dependency_failure_warns(people, stack, images):
    stack.write(
        {
            "cache": alone(image=V1),
            "web": alone(depends_on={"cache": {"condition": "service_healthy", "required": False}}),
        }
    )
    await people.succeed("v1")
    stack.container("cache").stop()
    stack.write(
        {
            "cache": alone(image=V1, healthcheck={"disable": True}, deploy={"replicas": 0}),
            "web": alone(depends_on={"cache": {"condition": "service_healthy", "required": False}}),
        }
    )
    succeeded(await people.deploy("v2"))
    assert stack.images()["web-1"] == images["v2"]


async def test_restart_dependency_restarts_dependents(people, stack, images):
    web = alone(image=V1, depends_on={"store": {"condition": "service_healthy", "restart": True}})
    other = alone(image=V1, depends_on={"store": {"condition": "service_healthy"}})
    stack.write({"store": alone(), "web": web, "other": other})
    await people.succeed("v1")
    ids, started = stack.ids(), state(stack, "web")["StartedAt"]
    plan = await people.application.orchestrator.plan(request(DeploymentKind.DEPLOY, version="v2"))
    assert {one.service: one.action.value for one in plan.services} == {
        "store": "recreate",
        "web": "restart",
        "other": "keep",
    }
    await people.succeed("v2")
    assert stack.images() == {"other-1": images["v1"], "store-1": images["v2"], "web-1": images["v1"]}
    assert {name: stack.ids()[name] for name in ("other-1", "web-1")} == {
        name: ids[name] for name in ("other-1", "web-1")
    }
    assert state(stack, "web")["StartedAt"] > state(stack, "store")["StartedAt"]
    again = state(stack, "web")["StartedAt"]
    assert again > started
    succeeded(await people.rollback())
    assert stack.images()["store-1"] == images["v1"]
    assert state(stack, "web")["StartedAt"] > again
    assert stack.ids()["other-1"] == ids["other-1"]


async def test_first_deployment_starts_all_in_order(people, stack, images):
    """Chains, a one-shot, profiles that are not active, a cycle that is none, probes: all in one stack."""
    port = free_port()
    probe = {"kind": "required", "probe": f"tcp://127.0.0.1:{port}", "timeout": "20s"}
    healthy = {"condition": "service_healthy"}
    stack.write(
        {
            "c": alone(depends_on={"b": healthy}),
            "b": alone(depends_on={"a": healthy}),
            "a": alone(),
            # A one-shot service that no other depends on is declared by x-deploy.
            "once": alone(image=f"{REPOSITORY}:ends", healthcheck=None, **{"x-deploy": {"one_shot": True}}),
            "cache": alone(profiles=["full"]),
            "web": alone(depends_on={"cache": healthy | {"required": False}}),
            "scraper": alone(**{"x-deploy": {"depends_on": {"site": {"kind": "soft"}}}}),
            "site": alone(depends_on={"scraper": healthy}),
            "unchecked": alone(healthcheck=None),
            "store": service(ports=[f"127.0.0.1:{port}:8080"]),
            "shop": alone(**{"x-deploy": {"depends_on": {"store": probe}}}),
        }
    )
    deployment = await people.succeed("v1")
    run = {name.removesuffix("-1") for name in stack.ids()}
    assert run == {"a", "b", "c", "once", "web", "scraper", "site", "unchecked", "store", "shop"}
    assert state(stack, "once")["Status"] == "exited"
    assert {one.attrs["Image"] for one in stack.containers() if "-once-" not in one.name} == {images["v1"]}
    for names in (("a", "b", "c"), ("scraper", "site"), ("store", "shop")):
        started = [state(stack, name)["StartedAt"] for name in names]
        assert started == sorted(started), names
    assert any("closes a cycle" in warning for warning in deployment.warnings)
    assert "unverified" in deployment.phases[4].summary
    steps = {one.service: one.step for one in deployment.services}
    assert [name for name, step in steps.items() if step == "unverified"] == ["unchecked"]
