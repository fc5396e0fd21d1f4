"""A stack that somebody started by hand is taken over without a new container where it is as the file says already."""

import pytest

from tests.e2e.acceptance.people import request, succeeded
from tests.e2e.acceptance.stack import REPOSITORY, alone, service
from tests.e2e.acceptance.test_true_plans import look, plan_and_deploy


def write_all(stack, version: str = "v1", web=(), tunnel=(), **more) -> None:
    """Write what stacks have: what others link to, a tunnel by its container's name, a profile that hands started.

    What is deployed by a moving tag is probed, and what is waited for.
    """
    still = {"image": f"{REPOSITORY}:v1", "healthcheck": None}
    moves = {"image": f"{REPOSITORY}:{version}", "healthcheck": None}
    name = f"{stack.project()}-tunnel"
    behind = {"entrypoint": ["sleep", "1000"], "network_mode": f"container:{name}"}
    needs = {"links": ["db:database"], "depends_on": {"store": {"condition": "service_healthy"}}}
    stack.write(
        {
            "db": service(**still | {"image": f"{stack.base_name}/db:16"}),
            "store": service(image=f"{REPOSITORY}:v1", volumes=["data:/data"], environment={"A": "1"}),
            "web": service(volumes=["./conf:/config:ro"], **needs, **dict(web)),
            "torrent": service(network_mode="service:store", **moves),
            "tunnel": service(container_name=name, **still, **dict(tunnel)),
            "behind": service(depends_on=["tunnel"], **still, **behind),
            "tools": service(profiles=["tools"], **still),
            **more,
        },
        volumes={"data": {}},
    )


def actions(planned) -> dict[str, list[str]]:
    """Return the services by what becomes of them."""
    found: dict[str, list[str]] = {}
    for name, item in sorted(planned.items()):
        found.setdefault(item.action.value, []).append(name)
    return found


NEEDED = ("store", "tools")
ALL = ["behind", "db", "store", "torrent", "tunnel", "web"]


@pytest.mark.long
async def test_adoption_recreates_nothing_that_fits(people, stack, images):
    """Not at first, not where the first deployment fails, not in the releases after, until a service changes.

    Then only that one is made anew. A database that others link to, and whose network others share, stays when those
    others change. What goes through a tunnel by its container's name goes where the tunnel goes. A service of a profile
    is nothing that the bot brought, even as part of release 0.
    """
    stack.put("conf/app.conf", "first\n")
    stack.client.images.get(f"{REPOSITORY}:v1").tag(f"{stack.base_name}/db", "16")
    write_all(stack)
    stack.manually("--profile", "tools", "up", "-d", "--wait", VERSION="v1")
    before = look(stack)
    await first_plan_says_why(people, stack)
    write_all(stack, broken=alone(image=f"{REPOSITORY}:exits"))
    assert (await people.deploy("v1")).outcome == "rolled_back"
    assert look(stack) == before
    write_all(stack)
    planned = await plan_and_deploy(people, stack, "v1")
    assert actions(planned) == {"keep": ALL}
    assert look(stack) == before
    assert await differing_from_release_0(people) <= {"tools"}
    stack.put("conf/app.conf", "second\n")
    write_all(stack, "v2", tunnel={"environment": {"A": "1"}})
    planned = await plan_and_deploy(people, stack, "v2")
    assert await differing_from_release_0(people) - {"tools"} == {"tunnel", "web:/config/app.conf"}
    kept = ["db", "store"]
    assert actions(planned) == {"keep": kept, "recreate": ["behind", "torrent", "tunnel", "web"]}
    now = look(stack)
    assert {name: now[name] for name in ("tools", *kept)} == {name: before[name] for name in ("tools", *kept)}
    assert stack.read("web", "/config/app.conf") == "second\n"
    joined = stack.container("behind").attrs["HostConfig"]["NetworkMode"]
    assert joined == f"container:{stack.container('tunnel').id}"
    await release_0_comes_back_over_a_moved_tag(people, stack, images, before)


async def differing_from_release_0(people) -> set[str]:
    """Return what a plan names above the lines that differ; what a profile has is of release 0 alone."""
    plan = await people.application.orchestrator.plan(request("ROLLBACK", target_release=0))
    return {line.removesuffix(":") for line in plan.diff if line.endswith(":") and line[0] not in "-+ "}


async def first_plan_says_why(people, stack):
    """It says what stays though it is not all known, and in which keys what is made anew is another."""
    orchestrator, asked = people.application.orchestrator, request("DEPLOY", version="v1")
    plan = await orchestrator.plan(asked)
    assert [warning for warning in plan.warnings if warning.startswith("web stays")], "what its files held is not known"
    write_all(stack, web={"environment": {"A": "1"}, "labels": {"team": "kitchen"}})
    planned = {one.service: one for one in (await orchestrator.plan(asked)).services}
    assert planned["store"].action == "keep"
    assert planned["web"].reasons == ("it was not made by this bot, and is another in: environment, labels",)
    write_all(stack)


async def release_0_comes_back_over_a_moved_tag(people, stack, images, before):
    """Somebody pulls and types `up -d`: the new container has the old one's hash, and not its image.

    What is deployed after release 0 is on it, to which what a profile has belongs, leaves that alone, too.
    """
    stack.client.images.get(f"{REPOSITORY}:v2").tag(f"{stack.base_name}/db", "16")
    stack.manually("up", "-d", "--no-deps", "db", VERSION="v2")
    assert stack.ids()["db-1"] not in before["db"]
    assert stack.container("db").attrs["Image"] == images["v2"]
    succeeded(await people.rollback(to=0))
    assert stack.container("db").attrs["Image"] == images["v1"]
    assert stack.read("web", "/config/app.conf") == "first\n", "as it was at the adoption"
    now = look(stack)
    assert {name: now[name] for name in NEEDED} == {name: before[name] for name in NEEDED}
    await plan_and_deploy(people, stack, "v1")
    assert look(stack)["tools"] == before["tools"]
