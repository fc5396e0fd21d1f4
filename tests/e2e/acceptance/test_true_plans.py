"""A plan says what the deployment then does, whatever hands did in between; Docker's inspect is the judge."""

import pytest
import pytest_asyncio

from campaigns.plans.effects import find_lies
from roas.models.alert import AlertState
from roas.models.deployment import DeploymentKind
from roas.models.plan import ServiceAction
from roas.monitoring.alerts.drift_alerts import DriftAlerts
from roas.monitoring.watching.drift import DriftFinder
from roas.ui.translation import translate, using_locale
from tests.e2e.acceptance.one_stack import application, stack
from tests.e2e.acceptance.people import request, succeeded
from tests.e2e.acceptance.stack import PROJECT, REPOSITORY, SERVICE, service

pytestmark = [pytest.mark.engine, pytest.mark.asyncio(loop_scope="module")]
__all__ = ["application", "stack"]

KEEP = ServiceAction.KEEP


def look(stack):
    """Return the containers of each service by id, with the time of their start and their state."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for one in stack.containers():
        state = one.attrs["State"]
        found.setdefault(one.labels[SERVICE], {})[one.id] = (state["StartedAt"], state["Status"])
    return found


async def plan_and_deploy(people, stack, version: str, **more):
    """Deploy exactly what was planned, and return the plan; what it says and what happened must be the same."""
    before = look(stack)
    plan = await people.application.orchestrator.plan(request(DeploymentKind.DEPLOY, version=version, **more))
    assert look(stack) == before, "a plan changes nothing"
    await people.succeed(version, plan_digest=plan.digest, **more)
    assert find_lies(plan, before, look(stack)) == []
    return {one.service: one for one in plan.services}


def write(stack, **more) -> None:
    stack.write(
        {
            "db": service(image=f"{REPOSITORY}:v1"),
            "api": service(
                depends_on={"db": {"condition": "service_healthy", "restart": True}}, image=f"{REPOSITORY}:v1"
            ),
            "vpn": service(),
            "torrent": service(image=f"{REPOSITORY}:v1", network_mode="service:vpn"),
            "two": service(image=f"{REPOSITORY}:v1", scale=2),
            "tools": service(image=f"{REPOSITORY}:v1", profiles=["tools"]),
            **more,
        }
    )


async def changed_in_place(people):
    plan = await people.application.orchestrator.plan(request(DeploymentKind.DEPLOY, version="v1"))
    return [one for one in plan.warnings if "was changed while it ran" in one]


@pytest_asyncio.fixture(loop_scope="module")
async def deployed(people, stack, images):
    """Deploy the stack: what a test before has left as it is wanted stays, but not what it changed in place."""
    write(stack)
    changed = {one.partition(" ")[0] for one in await changed_in_place(people)}
    for one in stack.containers():
        if one.labels[SERVICE] in changed | {"tools"}:
            one.remove(force=True)
    await people.succeed("v1")


async def test_plan_after_hands_is_what_happens(people, stack, images, deployed):
    """Stopped, removed, another image, a profile's service and a copy: all of it by hand, and all in the plan."""
    stack.container("db").stop()
    stack.manually("--profile", "tools", "up", "-d", "--no-deps", "tools", VERSION="v1")
    stack.manually("up", "-d", "--no-deps", "vpn", VERSION="v2")
    stack.manually("up", "-d", "--no-deps", "--scale", "two=3", "--no-recreate", "two", VERSION="v1")
    planned = await plan_and_deploy(people, stack, "v1")
    assert planned["db"].action is ServiceAction.START
    assert any("exited" in reason for reason in planned["db"].reasons)
    assert planned["api"].action is ServiceAction.RESTART
    assert any("db" in reason for reason in planned["api"].reasons)
    assert planned["vpn"].action is ServiceAction.RECREATE
    assert (planned["vpn"].old_image, planned["vpn"].new_image) == (f"{REPOSITORY}:v2", f"{REPOSITORY}:v1")
    assert any("by hand" in reason for reason in planned["vpn"].reasons)
    assert planned["torrent"].action is ServiceAction.RECREATE
    assert any("shares a namespace with vpn" in reason for reason in planned["torrent"].reasons)
    assert planned["two"].action is ServiceAction.ADJUST
    assert planned["two"].reasons == ("it has 3 of 2 containers",)
    assert "tools" not in planned
    assert stack.container("tools").attrs["State"]["Status"] == "running"
    await plan_lists_what_is_missing_and_removed(people, stack)


async def plan_lists_what_is_missing_and_removed(people, stack):
    stack.container("api").remove(force=True)
    first, _second = (one for one in stack.containers() if one.labels[SERVICE] == "two")
    first.remove(force=True)
    write(stack, other=service())
    stack.manually("up", "-d", "--no-deps", "other", VERSION="v1")
    write(stack)
    planned = await plan_and_deploy(people, stack, "v1")
    assert planned["api"].action is ServiceAction.CREATE
    assert planned["api"].reasons == ("its container is missing",)
    assert planned["two"].action is ServiceAction.ADJUST
    assert planned["two"].reasons == ("it has 1 of 2 containers",)
    assert planned["other"].action is ServiceAction.REMOVE
    assert planned["db"].action is ServiceAction.KEEP


async def test_services_not_named_are_kept_until_all_go_back(people, stack, images, deployed):
    """What a deployment does not name stays, even where hands changed it; what shares with a named one cannot.

    A rollback names all, and does what it plans, too.
    """
    stack.manually("up", "-d", "--no-deps", "db", VERSION="v1")
    stack.container("api").stop()
    planned = await plan_and_deploy(people, stack, "v2", services=("vpn",))
    assert planned["db"].action is ServiceAction.KEEP
    assert planned["api"].action is ServiceAction.KEEP
    assert planned["torrent"].action is ServiceAction.RECREATE

    before = look(stack)
    plan = await people.application.orchestrator.plan(request(DeploymentKind.ROLLBACK))
    succeeded(await people.rollback())
    assert find_lies(plan, before, look(stack)) == []
    actions = {one.service: one.action for one in plan.services}
    assert actions["db"] is ServiceAction.RECREATE
    assert actions["vpn"] is ServiceAction.RECREATE
    assert actions["api"] is ServiceAction.START


async def test_hand_up_is_seen_as_drift(people, stack, images, deployed):
    """A plain `up -d` that puts services back is in the status and raises an alert; a deployment settles it."""
    application = people.application
    environment = application.environments["dev"]
    alerts = DriftAlerts(
        DriftFinder(application.engine, application.state.releases, application.state.deployments),
        application.alert_service,
        {"dev": environment},
    )

    async def drift() -> dict[str, str]:
        return {one.service: one.reason for one in (await application.collector.collect_all_metrics(environment)).drift}

    async def alert():
        await alerts.look()
        await alerts.look()
        return [(one.state, one.summary) for one in await application.state.alerts.all()]

    assert await drift() == {}
    stack.container("api").update(mem_limit="96m", memswap_limit="96m")
    assert await drift() == {"api": "it was changed while it ran: mem_limit"}
    stack.manually("up", "-d", "--no-deps", "vpn", VERSION="v2")
    stack.manually("up", "-d", "--no-deps", "db", VERSION="v1")
    found = await drift()
    assert found.keys() == {"api", "db", "vpn", "torrent"}
    assert found["vpn"] == f"it runs the image {REPOSITORY}:v2 instead of {REPOSITORY}:v1"
    assert "configuration" in found["db"]
    ((state, summary),) = await alert()
    assert (state, "vpn was changed by hand: it runs the image" in summary) == (AlertState.FIRING, True)
    assert "api was changed by hand: it was changed while it ran: mem_limit" in summary.splitlines()
    with using_locale("zh-TW"):
        assert "api 被手動改過：它在執行時被改過：mem_limit" in translate(summary).splitlines()
    stack.container("api").remove(force=True)
    await people.succeed("v1")
    assert await drift() == {}
    assert [state for state, _ in await alert()] == [AlertState.RESOLVED]


async def test_plan_says_what_was_changed_in_place(people, stack, images, deployed):
    """What hands change of a running container stays, and is said; where it is made anew, it is gone."""
    db, api = stack.container("db"), stack.container("api")
    db.update(mem_limit="96m", memswap_limit="96m", restart_policy={"Name": "always"})
    api.rename(f"mine-{api.name}")
    network = stack.client.networks.get(f"{stack.project()}_default")
    network.disconnect(api)
    stack.container("vpn").update(mem_limit="97m", memswap_limit="97m")
    stack.container("vpn").stop()
    stays = await changed_in_place(people)
    planned = await plan_and_deploy(people, stack, "v1")
    assert [planned[name].action for name in ("api", "db", "vpn")] == [KEEP, KEEP, ServiceAction.START]
    assert await changed_in_place(people) == stays
    assert [(one.partition(" ")[0], one.rpartition(": ")[2]) for one in stays] == [
        ("api", f"{network.name}, container_name."),
        ("db", "mem_limit, restart."),
        ("vpn", "mem_limit."),
    ]
    with using_locale("zh-TW"):
        assert all(translate(one) != one for one in stays)
    inspected = stack.container("db").attrs["HostConfig"]
    assert (inspected["Memory"], inspected["RestartPolicy"]["Name"]) == (96 << 20, "always")
    assert network.name not in stack.container("api").attrs["NetworkSettings"]["Networks"]
    write(stack, db=service(image=f"{REPOSITORY}:v1", labels={"a": "1"}))
    stack.container("api").remove(force=True)
    planned = await plan_and_deploy(people, stack, "v1")
    assert stack.container("db").attrs["HostConfig"]["Memory"] == 0
    assert network.name in stack.container("api").attrs["NetworkSettings"]["Networks"]
    assert [one.partition(" ")[0] for one in await changed_in_place(people)] == ["vpn"]


async def test_disconnected_is_not_made_anew(people, stack, images, deployed):
    """Newer versions of Compose replace what hands took out of a network, whatever they are asked to make."""
    first, second = (one for one in stack.containers() if one.labels[SERVICE] == "two")
    network = stack.client.networks.get(f"{stack.project()}_default")
    network.disconnect(first)
    second.remove(force=True)
    planned = await plan_and_deploy(people, stack, "v1")
    assert planned["two"].reasons == ("it has 1 of 2 containers",)
    assert first.id in {one.id for one in stack.containers()}
    linked = service(image=f"{REPOSITORY}:v1", links=["db"])
    write(stack, web=linked)
    await people.succeed("v1")
    for name in ("db", "vpn"):
        network.disconnect(stack.container(name))
    sharing = service(image=f"{REPOSITORY}:v1", network_mode="service:vpn", labels={"a": "1"})
    write(stack, web={**linked, "labels": {"a": "1"}}, torrent=sharing)
    planned = await plan_and_deploy(people, stack, "v1")
    actions = [planned[name].action for name in ("db", "vpn", "web", "torrent")]
    assert actions == [KEEP, KEEP, ServiceAction.RECREATE, ServiceAction.RECREATE]
    assert [one.partition(" ")[0] for one in await changed_in_place(people)] == ["db", "two", "vpn"]


async def test_lost_replica_of_a_shared_namespace_is_the_reason(people, stack, images):
    """Nobody changed what shares it: the container that it had joined is gone."""
    stack.write({"vpn": service(scale=2), "torrent": service(pid="service:vpn")})
    await people.succeed("v1")
    first = next(one for one in stack.containers() if one.labels[SERVICE] == "vpn")
    first.remove(force=True)
    planned = await plan_and_deploy(people, stack, "v1")
    assert planned["vpn"].action is ServiceAction.ADJUST
    assert planned["torrent"].action is ServiceAction.RECREATE
    assert planned["torrent"].reasons == ("it shares a namespace with vpn, of which a container is missing",)


async def test_stopped_stack_starts_after_its_networks_were_pruned(people, stack, images):
    """The containers are in networks that are gone; those that come in their place have the same names."""
    stack.write(
        {
            "db": service(image=f"{REPOSITORY}:v1", networks={"one": {"aliases": ["store"]}, "two": {}}),
            "web": service(image=f"{REPOSITORY}:v1", networks=["two"], links=["db:database"]),
        },
        networks={"one": {}, "two": {}},
    )
    await people.succeed("v1")
    for one in stack.containers():
        one.stop(timeout=1)
    stack.client.networks.prune(filters={"label": f"{PROJECT}={stack.project()}"})
    planned = await plan_and_deploy(people, stack, "v1")
    assert {one.action for one in planned.values()} == {ServiceAction.START}
    for name in ("db", "database"):
        code, output = stack.container("web").exec_run(["ping", "-c", "1", "-W", "3", name])
        assert code == 0, output
    ends = stack.container("db").attrs["NetworkSettings"]["Networks"]
    assert "store" in ends[f"{stack.project()}_one"]["Aliases"]
