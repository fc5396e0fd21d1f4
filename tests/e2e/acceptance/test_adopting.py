"""A stack that somebody started by hand is taken over without a new container where it is as the file says already."""

from roas.models.deployment import DeploymentKind, Outcome
from roas.models.plan import ServiceAction
from tests.e2e.acceptance.people import request, succeeded
from tests.e2e.acceptance.stack import REPOSITORY, service
from tests.e2e.acceptance.test_true_plans import look, plan_and_deploy


def write(stack, **web) -> None:
    store = service(image=f"{REPOSITORY}:v1", volumes=["data:/data"], environment={"A": "1"})
    own = {"volumes": ["./conf:/config:ro"], "depends_on": {"store": {"condition": "service_healthy"}}}
    stack.write({"store": store, "web": service(**own, **web)}, volumes={"data": {}})


async def test_adoption_recreates_nothing_that_fits(people, stack, images):
    """Not at first, not in the releases after, until a service changes; then only that one is made anew."""
    stack.put("conf/app.conf", "first\n")
    write(stack)
    stack.manually("up", "-d", "--wait", VERSION="v1")
    before = look(stack)
    planned = await plan_and_deploy(people, stack, "v1")
    assert {one.action for one in planned.values()} == {ServiceAction.KEEP}
    assert look(stack) == before
    await plan_and_deploy(people, stack, "v1")
    assert look(stack) == before
    planned = await plan_and_deploy(people, stack, "v2")
    assert planned["web"].action is ServiceAction.RECREATE
    assert look(stack)["store"] == before["store"]
    stack.put("conf/app.conf", "second\n")
    await people.succeed("v2")
    assert stack.read("web", "/config/app.conf") == "second\n"
    succeeded(await people.rollback(to=0))
    assert stack.read("web", "/config/app.conf") == "first\n", "as it was at the adoption"
    assert look(stack)["store"] == before["store"]


async def test_adoption_plan_says_why_it_recreates(people, stack, images):
    stack.put("conf/app.conf", "first\n")
    write(stack)
    stack.manually("up", "-d", "--wait", VERSION="v1")
    plan = await people.application.orchestrator.plan(request(DeploymentKind.DEPLOY, version="v1"))
    assert [one for one in plan.warnings if one.startswith("web stays")], "what its files held is not known"
    write(stack, environment={"A": "1"}, labels={"team": "kitchen"})
    planned = await plan_and_deploy(people, stack, "v1")
    assert planned["store"].action is ServiceAction.KEEP
    assert planned["web"].reasons == ("it was not made by this bot, and is another in: environment, labels",)


async def test_namespace_by_container_name_followed(people, stack, images):
    """What goes through a tunnel, as stacks write it, stays at the adoption, and goes where the tunnel goes."""
    tunnel = f"{stack.project()}-tunnel"
    behind = service(
        image=f"{REPOSITORY}:v1",
        entrypoint=["sleep", "1000"],
        healthcheck=None,
        network_mode=f"container:{tunnel}",
        depends_on=["vpn"],
    )
    vpn = service(image=f"{REPOSITORY}:v1", container_name=tunnel)
    stack.write({"vpn": vpn, "behind": behind})
    stack.manually("up", "-d", "--wait")
    before = look(stack)
    planned = await plan_and_deploy(people, stack, "v1")
    assert {one.action for one in planned.values()} == {ServiceAction.KEEP}
    assert look(stack) == before
    stack.write({"vpn": vpn | {"environment": {"A": "1"}}, "behind": behind})
    planned = await plan_and_deploy(people, stack, "v1")
    assert {one.action for one in planned.values()} == {ServiceAction.RECREATE}
    joined = stack.container("behind").attrs["HostConfig"]["NetworkMode"]
    assert joined == f"container:{stack.container('vpn').id}"


async def test_what_adopted_services_need_stays(people, stack, images):
    """A database that others link to, and a tunnel that others go through, stay when those others change."""
    needed = service(image=f"{REPOSITORY}:v1", depends_on=[])

    def write(version):
        stack.write(
            {
                "db": needed,
                "vpn": needed,
                "web": service(image=f"{REPOSITORY}:{version}", links=["db:database"]),
                "torrent": service(image=f"{REPOSITORY}:{version}", network_mode="service:vpn"),
            }
        )

    write("v1")
    stack.manually("up", "-d", "--wait")
    before = look(stack)
    await plan_and_deploy(people, stack, "v1")
    assert look(stack) == before
    write("v2")
    planned = await plan_and_deploy(people, stack, "v2")
    assert [planned[name].action for name in ("db", "vpn")] == [ServiceAction.KEEP] * 2
    assert [planned[name].action for name in ("torrent", "web")] == [ServiceAction.RECREATE] * 2
    after = look(stack)
    assert {name: after[name] for name in ("db", "vpn")} == {name: before[name] for name in ("db", "vpn")}


async def test_profile_run_by_hand_is_left_alone(people, stack, images):
    """At the adoption it becomes part of release 0, and still is nothing that the bot brought."""
    stack.write({"web": service(), "tools": service(image=f"{REPOSITORY}:v1", profiles=["tools"])})
    stack.manually("--profile", "tools", "up", "-d", "--wait", VERSION="v1")
    before = look(stack)
    for version in ("v1", "v2"):
        planned = await plan_and_deploy(people, stack, version)
        assert "tools" not in planned
    succeeded(await people.rollback(to=0))
    assert look(stack)["tools"] == before["tools"]


async def test_profile_left_alone_after_a_failed_adoption(people, stack, images):
    stack.write({"web": service(), "tools": service(image=f"{REPOSITORY}:v1", profiles=["tools"])})
    stack.manually("--profile", "tools", "up", "-d", "--wait", VERSION="v1")
    before = look(stack)
    assert (await people.deploy("unhealthy")).outcome is Outcome.ROLLED_BACK
    await plan_and_deploy(people, stack, "v2")
    assert look(stack)["tools"] == before["tools"]


async def test_adopted_image_comes_back_over_a_moved_tag(people, stack, images):
    """Somebody pulls and types `up -d`: the new container has the old one's hash, and not its image."""
    repository = f"{stack.base_name}/store"
    stack.write({"store": service(image=f"{repository}:16")})
    stack.client.images.get(f"{REPOSITORY}:v1").tag(repository, "16")
    stack.manually("up", "-d", "--wait")
    await people.succeed("any")
    stack.client.images.get(f"{REPOSITORY}:v2").tag(repository, "16")
    stack.manually("up", "-d", "--wait")
    assert stack.images()["store-1"] == images["v2"]
    succeeded(await people.rollback(to=0))
    assert stack.images()["store-1"] == images["v1"]
