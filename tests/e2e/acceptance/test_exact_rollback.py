"""A rollback brings back images, configuration and files as they were, whatever became of the working copy."""

import docker

from roas.app.application import open_application
from roas.models.deployment import Outcome
from roas.stack.containers.watch import ContainerWatch
from roas.stack.updating.service_update import ServiceUpdate
from testbed.sample import sample_image
from tests.e2e.acceptance.people import People, succeeded
from tests.e2e.acceptance.stack import differences, service

OWN_REPOSITORY = "roas-acceptance/exact"
WRITTEN = ("/data/orders", "/uploads/photo", "/own/orders")


def tag(client: docker.DockerClient, name: str, content: str) -> str:
    """Make a sample image of some content under a tag of this file's own."""
    return sample_image(client, f"{OWN_REPOSITORY}:{name}", version=content)


def write(stack, store: str = "${VERSION}", **changes) -> None:
    """Write the stack with a version of its store; `changes` are changes to its web."""
    web = service(
        image=f"{OWN_REPOSITORY}:${{VERSION}}",
        environment={"MENU": "${MENU}", "SHOP_PASSWORD": "${SHOP_PASSWORD}"},
        env_file=["web.env"],
        labels={"menu": "${MENU}"},
        volumes=[
            "./conf/menu.txt:/config/menu.txt:ro",
            "./site:/config/site:ro",
            "data:/data",
            "./uploads:/uploads",
            "/own",
        ],
        configs=[{"source": "rules", "target": "/config/rules"}],
        networks=["front"],
    )
    files = {"configs": {"rules": {"file": "./rules.txt"}}, "networks": {"front": {}}, "volumes": {"data": {}}}
    stack.write(
        {"store": service(image=f"{OWN_REPOSITORY}:{store}", networks=["front"]), "web": web | changes}, **files
    )


def put_files(stack, text: str, password: str) -> None:
    """Write every file that configures the stack."""
    stack.put(".env.dev", f"MENU={text}\nSHOP_PASSWORD={password}\n")
    stack.put("web.env", f"FROM_FILE={text}\n")
    for path in ("conf/menu.txt", "site/deep/page.txt", "rules.txt"):
        stack.put(path, f"{text}\n")
    (stack.folder / "site/deep/page.txt").chmod(0o640)


def contents(stack) -> dict[str, str]:
    """Read every mounted file as the container sees it."""
    paths = ("/config/menu.txt", "/config/site/deep/page.txt", "/config/rules")
    return {path: stack.read("web", path) for path in paths}


def without_password(looks):
    """Take today's credential out of what is compared."""
    for look in looks.values():
        look["Config"]["Env"] = [entry for entry in look["Config"]["Env"] if not entry.startswith("SHOP_PASSWORD")]
    return looks


async def test_rollback_restores_images_config_and_files(settings, stack, long_lane):
    """Volumes, named or not, and writable binds are in no release; everything else is, whatever the file says now."""
    client = stack.client
    first = tag(client, "v1", "one")
    second = tag(client, "v2", "two")
    sample_image(client, f"{OWN_REPOSITORY}:exits", version="exits", behaviour="exits")
    (stack.folder / "uploads").mkdir()
    put_files(stack, "soup", "old")
    write(stack)
    async with open_application(settings) as application:
        await People(application).succeed("v1")
        before, read_before = stack.looks(), contents(stack)
        stack.container("web").exec_run(["sh", "-c", " ".join(f"echo order > {path};" for path in WRITTEN)])
        if long_lane:
            await file_change_alone_recreates_its_service_until_rollback(People(application), stack)
    async with open_application(settings) as application:
        people = People(application)
        put_files(stack, "salad", "new")
        write(stack, command=["/serve"], user="0:0")
        await people.succeed("v2")
        assert stack.images() == {"store-1": second, "web-1": second}
        assert stack.variables("web")["MENU"] == "salad"
        assert contents(stack)["/config/rules"] == "salad\n"
        assert kept_everywhere(stack)
        await failed_deployment_leaves_all_as_it_was(people, stack)
        put_files(stack, "steak", "newest")
        for name in ("v1", "v2"):
            tag(client, name, f"something else under {name}")
        succeeded(await people.rollback())
        assert stack.images() == {"store-1": first, "web-1": first}
        assert stack.variables("web")["SHOP_PASSWORD"] == "newest"
        assert differences(without_password(stack.looks()), without_password(before)) == []
        assert contents(stack) == read_before == dict.fromkeys(read_before, "soup\n")
        assert kept_everywhere(stack)
        assert (stack.folder / "uploads/photo").read_text() == "order\n"
        if long_lane:
            await volumes_survive_a_recreation(application, stack, first)


async def failed_deployment_leaves_all_as_it_was(people, stack):
    before = stack.looks()
    (stack.folder / "conf/menu.txt").write_text("half an edit\n")
    assert stack.read("web", "/config/menu.txt") == "salad\n", "nobody deployed that"
    write(stack, store="v2", command=["false"], labels={"other": "1"})
    assert (await people.deploy("exits")).outcome is Outcome.ROLLED_BACK
    assert differences(stack.looks(), before) == []
    assert stack.read("web", "/config/menu.txt") == "salad\n"
    assert kept_everywhere(stack)


async def file_change_alone_recreates_its_service_until_rollback(people, stack):
    ids = stack.ids()
    stack.put("conf/menu.txt", "salad\n")
    await people.succeed("v1")
    assert contents(stack)["/config/menu.txt"] == "salad\n"
    assert (stack.ids()["store-1"], stack.ids()["web-1"] != ids["web-1"]) == (ids["store-1"], True)
    stack.put("docker-compose.yml", "services: [")
    deployment = succeeded(await people.rollback())
    assert any("credentials" in warning for warning in deployment.warnings)
    assert contents(stack)["/config/menu.txt"] == "soup\n"
    assert stack.ids()["store-1"] == ids["store-1"]


def kept_everywhere(stack) -> bool:
    """Return whether what the service wrote is in each of its volumes and in the folder that it may write."""
    return [stack.read("web", path) for path in WRITTEN] == ["order\n"] * len(WRITTEN)


async def volumes_survive_a_recreation(application, stack, image_id):
    before, deployed = stack.ids()["web-1"], application.stacks.of(application.environments["dev"])
    model = await application.state.releases.applied_model("dev")
    definitions = application.stacks.definitions(await application.stacks.load_model(model))

    async def unheard(*text: object) -> None:
        pass

    async with ContainerWatch(deployed) as watch:
        await application.deployment_manager.apply_service(
            deployed, watch, ServiceUpdate(model, definitions["web"], unheard, recreate=True)
        )
    assert stack.ids()["web-1"] != before
    assert stack.images()["web-1"] == image_id
    assert kept_everywhere(stack)
