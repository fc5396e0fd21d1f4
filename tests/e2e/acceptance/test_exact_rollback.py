"""A rollback brings back images, configuration and files as they were, whatever became of the working copy."""

import docker

from roas.engine.containers.watch import ContainerWatch
from roas.models.deployment import Outcome
from testbed.sample import sample_image
from tests.e2e.acceptance.people import succeeded
from tests.e2e.acceptance.stack import differences, service

OWN_REPOSITORY = "roas-acceptance/exact"


def tag(client: docker.DockerClient, name: str, content: str) -> str:
    """Make a sample image of some content under a tag of this file's own."""
    return sample_image(client, f"{OWN_REPOSITORY}:{name}", version=content)


def write(stack, **changes) -> None:
    """Write the stack; `changes` are changes to its web."""
    web = service(
        image=f"{OWN_REPOSITORY}:${{VERSION}}",
        environment={"MENU": "${MENU}", "SHOP_PASSWORD": "${SHOP_PASSWORD}"},
        env_file=["web.env"],
        labels={"menu": "${MENU}"},
        volumes=["./conf/menu.txt:/config/menu.txt:ro", "./site:/config/site:ro", "data:/data"],
        configs=[{"source": "rules", "target": "/config/rules"}],
        networks=["front"],
    )
    store = service(image=f"{OWN_REPOSITORY}:${{VERSION}}", networks=["front"])
    files = {"configs": {"rules": {"file": "./rules.txt"}}, "networks": {"front": {}}, "volumes": {"data": {}}}
    stack.write({"store": store, "web": web | changes}, **files)


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


async def test_rollback_restores_images_config_and_files(settings, stack):
    from roas.application import open_application
    from tests.e2e.acceptance.people import People

    client = stack.client
    first = tag(client, "v1", "one")
    second = tag(client, "v2", "two")
    put_files(stack, "soup", "old")
    write(stack)
    async with open_application(settings) as application:
        await People(application).succeed("v1")
        before, read_before = stack.looks(), contents(stack)
    async with open_application(settings) as application:
        people = People(application)
        put_files(stack, "salad", "new")
        write(stack, command=["/serve"], user="0:0")
        await people.succeed("v2")
        assert stack.images() == {"store-1": second, "web-1": second}
        assert stack.variables("web")["MENU"] == "salad"
        assert contents(stack)["/config/rules"] == "salad\n"
        put_files(stack, "steak", "newest")
        write(stack, command=["false"], labels={"other": "1"})
        for name in ("v1", "v2"):
            tag(client, name, f"something else under {name}")
        succeeded(await people.rollback())
    assert stack.images() == {"store-1": first, "web-1": first}
    assert stack.variables("web")["SHOP_PASSWORD"] == "newest"
    assert differences(without_password(stack.looks()), without_password(before)) == []
    assert contents(stack) == read_before == dict.fromkeys(read_before, "soup\n")


async def test_automatic_rollback_restores_files(people, stack, images):
    stack.put("conf/menu", "soup\n")
    stack.write({"web": service(volumes=["./conf:/config:ro"], environment={"A": "1"})})
    await people.succeed("v1")
    before = stack.looks()
    stack.put("conf/menu", "salad\n")
    stack.write({"web": service(volumes=["./conf:/config:ro"], environment={"A": "2"})})
    assert (await people.deploy("exits")).outcome is Outcome.ROLLED_BACK
    assert differences(stack.looks(), before) == []
    assert stack.read("web", "/config/menu") == "soup\n"


async def test_file_change_recreates_service_until_rollback(people, stack, images):
    """A changed file alone recreates its service; a rollback brings the old file back."""
    stack.put("conf/menu", "soup\n")
    stack.write({"store": service(), "web": service(volumes=["./conf/menu:/config/menu:ro"])})
    await people.succeed("v1")
    before = stack.ids()
    stack.put("conf/menu", "salad\n")
    await people.succeed("v1")
    assert stack.read("web", "/config/menu") == "salad\n"
    assert stack.ids()["store-1"] == before["store-1"]
    succeeded(await people.rollback())
    assert stack.read("web", "/config/menu") == "soup\n"
    assert stack.ids()["store-1"] == before["store-1"]


async def test_mounted_file_edit_does_not_reach_container(people, stack, images):
    path = stack.put("conf/menu", "soup\n")
    stack.write({"web": service(volumes=["./conf/menu:/config/menu:ro"])})
    await people.succeed("v1")
    path.write_text("half an edit\n")
    assert stack.read("web", "/config/menu") == "soup\n"


async def test_rollback_with_broken_working_copy_warns(people, stack, images):
    stack.write({"web": service(environment={"API_TOKEN": "t1", "A": "1"})})
    await people.succeed("v1")
    before = stack.looks()
    stack.write({"web": service(environment={"API_TOKEN": "t2", "A": "2"})})
    await people.succeed("v2")
    stack.put("docker-compose.yml", "services: [")
    deployment = succeeded(await people.rollback())
    assert any("credentials" in warning for warning in deployment.warnings)
    assert differences(stack.looks(), before) == []


async def test_volumes_and_writable_binds_not_in_release(people, stack, images):
    (stack.folder / "uploads").mkdir()
    web = service(volumes=["data:/data", "./uploads:/uploads"])
    stack.write({"web": web}, volumes={"data": {}})
    await people.succeed("v1")
    await people.succeed("v2")
    stack.container("web").exec_run(["sh", "-c", "echo order > /data/orders; echo photo > /uploads/photo"])
    succeeded(await people.rollback())
    assert stack.read("web", "/data/orders") == "order\n"
    assert stack.read("web", "/uploads/photo") == "photo\n"
    assert (stack.folder / "uploads/photo").read_text() == "photo\n"


async def test_anonymous_volume_survives_deploy_and_rollback(people, stack, images):
    stack.write({"web": service(volumes=["/data"])})
    await people.succeed("v1")
    stack.container("web").exec_run(["sh", "-c", "echo order > /data/orders"])
    await people.succeed("v2")
    assert stack.read("web", "/data/orders") == "order\n"
    assert (await people.deploy("exits")).outcome is Outcome.ROLLED_BACK
    assert stack.read("web", "/data/orders") == "order\n"
    succeeded(await people.rollback())
    assert stack.images() == {"web-1": images["v1"]}
    assert stack.read("web", "/data/orders") == "order\n"


async def test_anonymous_volume_survives_recreation(people, stack, images):
    stack.write({"web": service(volumes=["/data"])})
    deployment = await people.succeed("v1")
    stack.container("web").exec_run(["sh", "-c", "echo order > /data/orders"])
    before, application = stack.ids(), people.application
    environment = application.environments["dev"]
    definitions = application.engine.definitions(await application.engine.load_model(deployment.applied_model))

    async def unheard(*text: object) -> None:
        pass

    async with ContainerWatch(application.engine, environment) as watch:
        await application.deployment_manager.apply_service(
            environment, deployment.applied_model, definitions["web"], watch, unheard, unheard, anew=True
        )
    assert stack.ids() != before
    assert stack.images() == {"web-1": images["v1"]}
    assert stack.read("web", "/data/orders") == "order\n"
