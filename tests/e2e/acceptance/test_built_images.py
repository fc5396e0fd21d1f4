"""What is built on this machine is known by its content, whatever the engine keeps images in."""

import pytest

from tests.e2e.acceptance.stack import REPOSITORY


@pytest.fixture
def built(stack, images):
    """A stack of one service that is built, whose image is gone after the test."""
    stack.put("app/Dockerfile", f"FROM {REPOSITORY}:v1\nCOPY main /main\n")
    stack.put("app/main", "1")
    name = f"{stack.base_name}-built"
    stack.write({"web": {"build": "app", "image": name, "init": True, "stop_grace_period": "1s"}})
    yield f"{name}:latest"
    stack.clear()
    for image in stack.client.images.list():
        if image.labels.get("com.docker.compose.project", "").startswith(stack.base_name):
            for tag in image.tags:
                stack.client.images.remove(tag, force=True)


async def test_the_same_files_are_built_to_the_same_image(people, stack, built):
    """A container stays whose image was built again of the same files, and is replaced for others."""
    await people.succeed("v1")
    before = stack.ids()
    await people.succeed("v2")
    assert stack.ids() == before
    stack.put("app/main", "2")
    await people.succeed("v3")
    assert stack.ids() != before
    assert stack.read("web", "/main") == "2"


async def test_what_was_built_by_hand_is_taken_over_as_it_runs(people, stack, built):
    """In containerd's store the same build by hand has another ID: there BuildKit adds when it was made."""
    stack.manually("up", "-d", "--build")
    before, image = stack.ids(), stack.images()["web-1"]
    await people.succeed("v1")
    assert stack.ids() == before
    assert stack.client.images.get(built).id == image
    untagged = stack.client.images.list(filters={"dangling": True})
    assert [one.id for one in untagged if one.labels.get("com.docker.compose.project") == stack.project()] == []
