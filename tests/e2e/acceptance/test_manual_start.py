"""A stack that somebody started by hand is taken over as it is, and comes back as it was when a release fails."""

import pytest

from roas.errors import SecondCopyError
from roas.models.deployment import DeploymentKind, Outcome
from tests.e2e.acceptance.people import request, succeeded
from tests.e2e.acceptance.stack import CHECK, REPOSITORY, differences, free_port, service

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
    write(stack, "exits")
    stack.put("conf/app.conf", "written for the new version\n")
    deployment = await people.deploy("exits")
    assert deployment.outcome is Outcome.ROLLED_BACK
    assert stack.images() == {"store-1": images["v1"], "web-1": images["v1"]}
    assert stack.read("web", "/data/orders") == "precious\n"
    assert differences(stack.looks(), manually) == []
    release = await people.application.state.releases.current("dev")
    assert (release.number, release.state) == (0, "adopted")


async def test_second_copy_of_running_stack_refused(people, stack, images):
    """What runs from the folder under another name is not created again with empty volumes: both are named."""
    write(stack, "v1")
    stack.manually("up", "-d", project=f"{stack.base_name}x", BY_HAND="")
    with pytest.raises(SecondCopyError) as refused:
        await people.application.orchestrator.plan(request(DeploymentKind.DEPLOY, version="v2"))
    assert f"project {stack.base_name}x" in refused.value.message
    assert f"as {stack.project()}," in refused.value.message
    deployment = await people.deploy("v2")
    assert deployment.outcome is Outcome.FAILED
    assert stack.images() == {}


@pytest.mark.parametrize("kind", [DeploymentKind.DEPLOY, DeploymentKind.ROLLBACK])
async def test_release_of_another_project_refused(people, stack, kind):
    """Settings that name another project than the one that runs would leave it behind, and start with empty volumes."""
    stack.write({"web": service()})
    for version in ("v1", "v2"):
        await people.succeed(version)
    before = stack.ids()
    people.application.settings.environments["dev"].project_name = f"{stack.base_name}-other"
    version = "v1" if kind is DeploymentKind.DEPLOY else None
    with pytest.raises(SecondCopyError, match=rf"project {stack.project()}, .* as {stack.base_name}-other,"):
        await people.application.orchestrator.plan(request(kind, version=version))
    assert stack.ids() == before


async def test_unnamed_services_keep_containers(people, stack, images, manually):
    """Services that the first deployment does not name keep their containers."""
    before = stack.ids()
    succeeded(await people.deploy("v2", services=("web",)))
    assert stack.ids()["store-1"] == before["store-1"]
    assert stack.ids()["web-1"] != before["web-1"]


async def test_unreached_services_keep_containers(people, stack, images, manually):
    """Services that a failed first deployment did not reach keep their containers."""
    before = stack.ids()
    write(stack, "exits")
    assert (await people.deploy("exits")).outcome is Outcome.ROLLED_BACK
    assert stack.ids()["web-1"] == before["web-1"]
    assert stack.ids()["store-1"] != before["store-1"]


async def test_first_deployment_keeps_data_and_rolls_back(people, stack, images, manually):
    write(stack, "v2")
    succeeded(await people.deploy("v2"))
    assert stack.images() == {"store-1": images["v2"], "web-1": images["v2"]}
    assert stack.read("web", "/data/orders") == "precious\n"
    succeeded(await people.rollback())
    assert stack.images() == {"store-1": images["v1"], "web-1": images["v1"]}
    # Its files are bound by content: those of the moment of adoption.
    assert [one for one in differences(stack.looks(), manually) if "/Mounts" not in one] == []
    assert stack.read("web", "/config/app.conf") == "written by hand\n"
    assert stack.read("web", "/data/orders") == "precious\n"


async def test_refused_deployment_leaves_stack_untouched(people, stack, manually):
    before = stack.ids()
    stack.write({"web": service(healthcheck=CHECK, imagee="x")})
    assert (await people.deploy("v2")).outcome is Outcome.FAILED
    assert stack.ids() == before
