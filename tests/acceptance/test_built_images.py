"""What is built on this machine is known by its content, whatever the engine keeps images in."""

from tests.acceptance.stack import REPOSITORY


async def test_the_same_files_are_built_to_the_same_image(people, stack, images):
    """A container stays whose image was built again of the same files, and is replaced for others."""
    stack.put("app/Dockerfile", f"FROM {REPOSITORY}:v1\nCOPY main /main\n")
    stack.put("app/main", "1")
    stack.write({"web": {"build": "app", "image": f"{stack.base_name}-built", "init": True, "stop_grace_period": "1s"}})
    await people.succeed("v1")
    before = stack.ids()
    await people.succeed("v2")
    assert stack.ids() == before
    stack.put("app/main", "2")
    await people.succeed("v3")
    assert stack.ids() != before
    assert stack.read("web", "/main") == "2"
