"""A stack that somebody started by hand is taken over as it is, and comes back as it was when a release fails."""

import pytest

from roas.errors import SecondCopyError
from roas.models.deployment import DeploymentKind, Outcome
from testbed.ports import free_port
from tests.e2e.acceptance.people import request, succeeded
from tests.e2e.acceptance.stack import CHECK, REPOSITORY, differences, service

pytestmark = pytest.mark.long

PORT = free_port()


def write(stack, image: str) -> None:
    """Write a stack that has what stacks have."""
    stack.put("conf/app.conf", "written by hand\n")
    web = service(
        image=f"{REPOSITORY}:{image}",
        environment={"GREETING": "hello", "PRICE": "5$$", "BY_HAND": "${BY_HAND}"},
        command=["/serve"],
        labels={"team": "kitchen"},
        ports=[f"127.0.0.1:{PORT}:8080"],
        volumes=["data:/data", "./conf:/config:ro"],
        networks={"front": {"aliases": ["shop"]}, "back": None},
        depends_on={"store": {"condition": "service_healthy"}},
        restart="unless-stopped",
    )
    store = service(image=f"{REPOSITORY}:{image}", networks=["back"], volumes=["data:/shared:ro"])
    stack.write({"store": store, "web": web}, networks={"front": {}, "back": {}}, volumes={"data": {}})


@pytest.fixture
def manually(stack, images):
    """Start v1 with Compose alone, and leave data in its volume; returns how its containers look."""
    write(stack, "v1")
    stack.manually("up", "-d", "--wait", BY_HAND="yes")
    stack.container("web").exec_run(["sh", "-c", "echo precious > /data/orders"])
    return stack.looks()


async def test_failed_first_deployment_restores_running_stack(people, stack, images, manually):
    """One that is refused touches nothing; of one that fails, what it did not reach keeps its container.

    The next one names a service, so the other keeps its container, and is taken back to what was there: its files are
    those of the moment of adoption.
    """
    before = stack.ids()
    stack.write({"web": service(healthcheck=CHECK, imagee="x")})
    assert (await people.deploy("v2")).outcome is Outcome.FAILED
    assert stack.ids() == before
    write(stack, "exits")
    stack.put("conf/app.conf", "written for the new version\n")
    assert (await people.deploy("exits")).outcome is Outcome.ROLLED_BACK
    assert stack.ids()["web-1"] == before["web-1"]
    assert stack.ids()["store-1"] != before["store-1"]
    is_as_it_was(stack, images, manually)
    release = await people.application.state.releases.current("dev")
    assert (release.number, release.state) == (0, "adopted")
    write(stack, "v2")
    stack.put("conf/app.conf", "written for the new version\n")
    before = stack.ids()
    succeeded(await people.deploy("v2", services=("web",)))
    assert stack.ids()["store-1"] == before["store-1"]
    assert stack.images() == {"store-1": images["v1"], "web-1": images["v2"]}
    assert stack.read("web", "/data/orders") == "precious\n"
    await settings_that_name_another_project_are_refused(people, stack)
    succeeded(await people.rollback())
    is_as_it_was(stack, images, manually)
    assert stack.read("web", "/config/app.conf") == "written by hand\n"


async def settings_that_name_another_project_are_refused(people, stack):
    """They would leave behind what runs, and start with empty volumes."""
    before, settings = stack.ids(), people.application.settings.environments["dev"]
    settings.project_name = f"{stack.base_name}-other"
    (stack.folder / "docker-compose.yml").touch()  # lays the environment out anew, by these settings
    for kind, version in ((DeploymentKind.DEPLOY, "v1"), (DeploymentKind.ROLLBACK, None)):
        with pytest.raises(SecondCopyError, match=rf"project {stack.project()}, .* as {stack.base_name}-other,"):
            await people.application.orchestrator.plan(request(kind, version=version))
    settings.project_name = None
    (stack.folder / "docker-compose.yml").touch()
    assert stack.ids() == before


def is_as_it_was(stack, images, manually) -> None:
    """Make sure that all is as somebody started it; who was made anew has its files bound by content."""
    assert stack.images() == {"store-1": images["v1"], "web-1": images["v1"]}
    assert stack.read("web", "/data/orders") == "precious\n"
    assert [difference for difference in differences(stack.looks(), manually) if "/Mounts" not in difference] == []


async def test_second_copy_of_running_stack_refused(people, stack, images):
    """What runs from the folder under another name is not created again with empty volumes: both are named."""
    write(stack, "v1")
    stack.manually("up", "-d", "--no-deps", "store", project=f"{stack.base_name}x", BY_HAND="")
    with pytest.raises(SecondCopyError) as refused:
        await people.application.orchestrator.plan(request(DeploymentKind.DEPLOY, version="v2"))
    assert f"project {stack.base_name}x" in refused.value.message
    assert f"as {stack.project()}," in refused.value.message
    deployment = await people.deploy("v2")
    assert deployment.outcome is Outcome.FAILED
    assert stack.images() == {}
