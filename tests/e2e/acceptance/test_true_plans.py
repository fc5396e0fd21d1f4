"""A plan says what the deployment then does, whatever hands did in between; Docker's inspect is the judge."""

import pytest

from roas.alerts.drift_alerts import DriftAlerts
from roas.health.drift_finder import DriftFinder
from roas.models.alert import AlertState
from roas.models.deployment import DeploymentKind
from roas.models.plan import ServiceAction
from roas.ui.translation import translate, using_locale
from testbed.compose_labels import PROJECT_LABEL, SERVICE_LABEL
from tests.e2e.acceptance.one_stack import application, stack
from tests.e2e.acceptance.people import request, succeeded
from tests.e2e.acceptance.stack import REPOSITORY, service
from tools.campaigns.plans.effects import find_lies

pytestmark = [pytest.mark.engine, pytest.mark.asyncio(loop_scope="module"), pytest.mark.long]
__all__ = ["application", "stack"]

KEEP = ServiceAction.KEEP


def look(stack):
    """Return the containers of each service by id, with the time of their start and their state."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for container in stack.containers():
        state = container.attrs["State"]
        found.setdefault(container.labels[SERVICE_LABEL], {})[container.id] = (state["StartedAt"], state["Status"])
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
    """Write the stack; what no test stops is not probed."""
    still = service(image=f"{REPOSITORY}:v1", healthcheck=None)
    needs_db = {"db": {"condition": "service_healthy", "restart": True}}
    stack.write(
        {
            "db": service(image=f"{REPOSITORY}:v1"),
            "api": service(depends_on=needs_db, image=f"{REPOSITORY}:v1"),
            "vpn": service(),
            "torrent": still | {"network_mode": "service:vpn"},
            "two": still | {"scale": 2},
            "peer": still | {"pid": "service:two"},
            "tools": still | {"profiles": ["tools"]},
            **more,
        }
    )


async def changed_in_place(people):
    plan = await people.application.orchestrator.plan(request(DeploymentKind.DEPLOY, version="v1"))
    return [warning for warning in plan.warnings if "was changed while it ran" in warning]


async def drift(application) -> dict[str, str]:
    seen = await application.collector.collect_all_metrics(application.environments["dev"])
    return {one.service: one.reason for one in seen.drift}


async def alert_of(application, finder):
    """Look as often as it takes, as after the events of what was made anew, and return the alert about drift."""
    alerts = DriftAlerts(finder, application.alert_service)
    finder.compare_closely("dev")
    await alerts.check(application.environments["dev"])
    await alerts.check(application.environments["dev"])
    return [(alert.state, alert.summary) for alert in await application.state.alerts.all()]


async def test_plan_after_hands_is_what_happens(people, stack, images):
    """A stack that hands change in one way after the other, and each time a deployment does what its plan says."""
    write(stack)
    await people.succeed("v1")
    await changes_by_hand_are_drift_and_in_the_plan(people, stack)
    await services_not_named_are_kept_until_all_go_back(people, stack)
    await plan_says_what_was_changed_in_place(people, stack)
    await missing_and_disconnected_are_mended_and_kept(people, stack)


async def changes_by_hand_are_drift_and_in_the_plan(people, stack):
    """Stopped, another image, a profile's service, one too many, and one that is in no file."""
    application = people.application
    finder = DriftFinder(application.stacks, application.state.releases, application.state.deployments)
    assert await drift(application) == {}
    stack.container("torrent").update(mem_limit="96m", memswap_limit="96m")
    assert await drift(application) == {"torrent": "it was changed while it ran: mem_limit"}
    write(stack, other=service(healthcheck=None))
    stack.manually("--profile", "tools", "up", "-d", "--no-deps", "tools", "vpn", "other", VERSION="v2")
    write(stack)
    stack.manually("up", "-d", "--no-deps", "--scale", "two=3", "--no-recreate", "two", VERSION="v1")
    found = await drift(application)
    assert {"torrent", "vpn"} <= found.keys()
    assert not {"api", "db", "tools"} & found.keys()
    assert found["vpn"] == f"it runs the image {REPOSITORY}:v2 instead of {REPOSITORY}:v1"
    ((state, summary),) = await alert_of(application, finder)
    assert (state, "vpn was changed by hand: it runs the image" in summary) == (AlertState.FIRING, True)
    await plan_names_all_of_it(people, stack)
    assert await drift(application) == {}
    assert [state for state, _ in await alert_of(application, finder)] == [AlertState.RESOLVED]


async def plan_names_all_of_it(people, stack):
    stack.container("db").stop()
    planned = await plan_and_deploy(people, stack, "v1")
    assert planned["db"].action is ServiceAction.START
    assert any("exited" in reason for reason in planned["db"].reasons)
    assert planned["api"].action is ServiceAction.RESTART
    assert any("db" in reason for reason in planned["api"].reasons)
    assert planned["vpn"].action is ServiceAction.RECREATE
    assert (planned["vpn"].old_image, planned["vpn"].new_image) == (f"{REPOSITORY}:v2", f"{REPOSITORY}:v1")
    assert any("by hand" in reason for reason in planned["vpn"].reasons)
    assert planned["torrent"].action is ServiceAction.RECREATE
    assert any("shares a namespace or volumes with vpn" in reason for reason in planned["torrent"].reasons)
    assert planned["two"].action is ServiceAction.ADJUST
    assert planned["two"].reasons == ("it has 3 of 2 containers",)
    assert planned["other"].action is ServiceAction.REMOVE
    assert "tools" not in planned
    tools = stack.container("tools")
    assert tools.attrs["State"]["Status"] == "running"
    tools.remove(force=True)


async def services_not_named_are_kept_until_all_go_back(people, stack):
    """What a deployment does not name stays, even where hands changed it; what shares with a named one cannot.

    A rollback names all, and does what it plans, too.
    """
    write(stack, db=service(image=f"{REPOSITORY}:v1", environment={"BY": "hand"}))
    stack.manually("up", "-d", "--no-deps", "db", VERSION="v1")
    write(stack)
    assert "configuration" in (await drift(people.application))["db"]
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


async def plan_says_what_was_changed_in_place(people, stack):
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
    assert [(stay.partition(" ")[0], stay.rpartition(": ")[2]) for stay in stays] == [
        ("api", f"{network.name}, container_name."),
        ("db", "mem_limit, restart."),
        ("vpn", "mem_limit."),
    ]
    with using_locale("zh-TW"):
        assert all(translate(stay) != stay for stay in stays)
        assert "在執行時被改過：mem_limit" in translate((await drift(people.application))["vpn"])
    inspected = stack.container("db").attrs["HostConfig"]
    assert (inspected["Memory"], inspected["RestartPolicy"]["Name"]) == (96 << 20, "always")
    assert network.name not in stack.container("api").attrs["NetworkSettings"]["Networks"]


async def missing_and_disconnected_are_mended_and_kept(people, stack):
    """Newer versions of Compose replace what hands took out of a network, whatever they are asked to make.

    What shares a namespace with a container that is gone is made anew, though nobody changed it.
    """
    network = stack.client.networks.get(f"{stack.project()}_default")
    stack.container("api").remove(force=True)
    first, second = (container for container in stack.containers() if container.labels[SERVICE_LABEL] == "two")
    network.disconnect(second)
    first.remove(force=True)
    linked = service(image=f"{REPOSITORY}:v1", links=["db"], healthcheck=None)
    labelled = service(image=f"{REPOSITORY}:v1", labels={"a": "1"})
    write(stack, web=linked, db=labelled)
    planned = await plan_and_deploy(people, stack, "v1")
    assert planned["api"].action is ServiceAction.CREATE
    assert planned["api"].reasons == ("its container is missing",)
    assert stack.container("db").attrs["HostConfig"]["Memory"] == 0
    assert network.name in stack.container("api").attrs["NetworkSettings"]["Networks"]
    assert planned["two"].action is ServiceAction.ADJUST
    assert planned["two"].reasons == ("it has 1 of 2 containers",)
    assert second.id in {container.id for container in stack.containers()}
    assert planned["peer"].action is ServiceAction.RECREATE
    assert planned["peer"].reasons == ("it shares a namespace or volumes with two, of which a container is missing",)
    assert [item.partition(" ")[0] for item in await changed_in_place(people)] == ["two", "vpn"]
    for name in ("db", "vpn"):
        network.disconnect(stack.container(name))
    sharing = service(image=f"{REPOSITORY}:v1", network_mode="service:vpn", labels={"a": "1"}, healthcheck=None)
    write(stack, web={**linked, "labels": {"a": "1"}}, torrent=sharing, db=labelled)
    planned = await plan_and_deploy(people, stack, "v1")
    actions = [planned[name].action for name in ("db", "vpn", "web", "torrent")]
    assert actions == [KEEP, KEEP, ServiceAction.RECREATE, ServiceAction.RECREATE]
    assert [item.partition(" ")[0] for item in await changed_in_place(people)] == ["db", "two", "vpn"]


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
    for container in stack.containers():
        container.stop(timeout=1)
    stack.client.networks.prune(filters={"label": f"{PROJECT_LABEL}={stack.project()}"})
    planned = await plan_and_deploy(people, stack, "v1")
    assert {item.action for item in planned.values()} == {ServiceAction.START}
    for name in ("db", "database"):
        code, output = stack.container("web").exec_run(["ping", "-c", "1", "-W", "3", name])
        assert code == 0, output
    ends = stack.container("db").attrs["NetworkSettings"]["Networks"]
    assert "store" in ends[f"{stack.project()}_one"]["Aliases"]
