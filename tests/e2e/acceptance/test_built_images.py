"""What is built on this machine is known by its content, whatever the engine keeps images in."""

import pytest

from tests.e2e.acceptance.people import ANNA, request, succeeded, told
from tests.e2e.acceptance.stack import REPOSITORY
from tests.e2e.acceptance.test_parallel_start import NEVER_HEALTHY, until_waiting

QUICK = {"init": True, "network_mode": "none", "stop_grace_period": "1s"}


@pytest.fixture
def built(stack, images):
    """A stack of one service that is built, whose image is gone after the test."""
    stack.put("app/Dockerfile", f"FROM {REPOSITORY}:v1\nCOPY main /main\n")
    stack.put("app/main", "1")
    name = f"{stack.base_name}-built"
    stack.write({"web": {"build": "app", "image": name, **QUICK}})
    yield f"{name}:latest"
    stack.clear_with_images()


async def test_the_same_files_are_built_to_the_same_image(people, stack, built):
    """What was built by hand is taken over as it runs; a container stays that is built again of the same files.

    In containerd's store the same build by hand has another ID: there BuildKit adds when it was made.
    """
    stack.manually("up", "-d", "--build")
    before, image = stack.ids(), stack.images()["web-1"]
    await people.succeed("v1")
    assert stack.ids() == before
    assert stack.client.images.get(built).id == image
    untagged = stack.client.images.list(filters={"dangling": True})
    assert [item.id for item in untagged if item.labels.get("com.docker.compose.project") == stack.project()] == []
    stack.put("app/main", "2")
    await people.succeed("v2")
    replaced = stack.ids()
    assert replaced != before
    await people.succeed("v3")
    assert stack.ids() == replaced, "this one is of a release of the bot's"
    assert stack.read("web", "/main") == "2"


async def test_what_hands_left_is_no_fault_of_a_release_that_changes_nothing(people, stack, built):
    """A job's container was pruned, then a service beside it paused; what is built is built as it was.

    A plan cannot know that before the build: had the image been another one, both would have changed.
    """
    web = {"build": "app", "image": built.removesuffix(":latest"), **QUICK}
    job = web | {"command": ["true"], "restart": "no", "x-deploy": {"one_shot": True}}
    stack.write({"web": web, "job": job, "db": {"image": f"{REPOSITORY}:v1", "pid": "service:web", **QUICK}})
    await people.succeed("v1")
    stack.container("job").remove()
    before = stack.ids()
    await people.succeed("v2")
    assert stack.ids() == before, "the job has run, and nothing else changes"
    stack.container("db").pause()
    await people.succeed("v3", services=("web",))
    assert (stack.ids(), stack.container("db").status) == (before, "paused"), "it was not asked for"
    stack.container("db").unpause()
    stack.manually("create", "--force-recreate", "job")
    await people.succeed("v4")
    assert stack.ids() == before, "what was left of the job is gone, and it did not run again"


@pytest.mark.long
async def test_what_failed_keeps_no_name(people, stack, built):
    """`docker compose up -d` starts what runs, and not what was built and rolled back, or built and never started."""
    stack.manually("up", "-d", "--build")
    await people.succeed("v1")
    first = stack.images()["web-1"]
    stack.put("app/main", "2")
    plan = await people.application.orchestrator.plan(request("DEPLOY", version="v2"))
    (web,) = plan.services
    assert (web.is_built, web.if_image_differs) == (True, True), "nobody knows before it is built"
    assert not [warning for warning in plan.warnings if "follows the version" in warning], plan.warnings
    await people.succeed("v2")
    assert (await people.application.state.releases.current("dev")).version == "v2"
    runs, before = stack.client.images.get(built).id, stack.ids()
    assert stack.images()["web-1"] == runs
    stack.put("app/Dockerfile", f"FROM {REPOSITORY}:v1\nCOPY main /main\nENTRYPOINT false\n")
    crashed = await people.deploy("v3")
    assert crashed.outcome == "rolled_back", told(crashed)
    assert (stack.client.images.get(built).id, stack.images()["web-1"]) == (runs, runs)
    after = stack.ids()
    stack.manually("up", "-d")
    assert stack.ids() == after
    stack.put("app/Dockerfile", f"FROM {REPOSITORY}:v1\nCOPY absent /main\n")
    assert (await people.deploy("v4")).outcome == "failed"
    assert (stack.client.images.get(built).id, stack.ids()) == (runs, after)
    assert before
    succeeded(await people.rollback())
    assert (stack.client.images.get(built).id, {*stack.images().values()}) == (first, {first})
    stack.put("app/Dockerfile", f"FROM {REPOSITORY}:v1\nCOPY main /main\n")
    stack.put("app/main", "5")
    name = built.removesuffix(":latest")
    stack.write({"web": {"build": "app", "image": name, "healthcheck": NEVER_HEALTHY, **QUICK}})
    hanging = await people.application.orchestrator.start(request("DEPLOY", version="v5"))
    await until_waiting(people.application, hanging.id, "web")
    assert stack.client.images.get(built).id != first
    await people.application.orchestrator.cancel(hanging.id, ANNA)
    assert (await people.application.orchestrator.wait(hanging.id)).outcome == "cancelled"
    assert (stack.client.images.get(built).id, {*stack.images().values()}) == (first, {first})


@pytest.mark.parametrize(
    "again",
    [
        pytest.param("build", id="each says how"),
        pytest.param("image", id="one says how", marks=pytest.mark.long),
    ],
)
async def test_what_one_service_builds_is_built_once_for_all(people, stack, built, again):
    """A worker and a job have the image that the web builds; also one that is not on this machine yet."""
    name = built.removesuffix(":latest")
    shared = {"image": name, **({"build": "app"} if again == "build" else {}), **QUICK}
    migrate = shared | {"command": ["true"], "entrypoint": [], "restart": "no"}
    after = {"migrate": {"condition": "service_completed_successfully"}}
    stack.write(
        {"worker": shared, "migrate": migrate, "web": {"build": "app", "image": name, "depends_on": after, **QUICK}}
    )
    await people.succeed("v1")
    assert stack.listed().keys() == {"migrate-1", "web-1", "worker-1"}
    (first,) = {item["ImageID"] for item in stack.listed().values()}
    stack.put("app/main", "2")
    await people.succeed("v2")
    (second,) = {item["ImageID"] for item in stack.listed().values()}
    assert first != second
    stack.put("app/main", "3")
    web = {"build": "app", "image": f"{name}:three", **QUICK}
    stack.write({"web": web})
    hotfix = await people.application.orchestrator.run(request("HOTFIX", version="v3", reason="a fix"))
    assert (hotfix.outcome, hotfix.touched) == ("failed", False)
    assert "Use /deploy, or push the image to a registry first." in hotfix.problem.hint
    await people.succeed("v3")
    assert stack.read("web", "/main") == "3", "as told"
    before = stack.ids()
    stack.manually("up", "-d")
    assert stack.ids() == before
