"""The addresses of a running stack are those of its own services."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import docker

from roas.models.environment import Environment
from roas.stack.stacks import Stacks
from tests.integration.stack.applying import deploy
from tests.integration.stack.open_stacks import open_stacks


async def test_addresses_of_own_services_only(
    engine: Stacks, stack: Callable[..., Environment], docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    environment = stack("services: {web: {image: 'tiny:v1', ports: ['127.0.0.1::80']}}")
    await deploy(engine, environment)
    (own,) = docker_client.containers.list(filters={"label": f"com.docker.compose.project={environment.project}"})
    ((name, joined),) = own.attrs["NetworkSettings"]["Networks"].items()
    published = int(own.attrs["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"])
    other = docker_client.containers.run("tiny:v1", detach=True)
    try:
        other.reload()
        ((_, foreign),) = other.attrs["NetworkSettings"]["Networks"].items()
        asked = {
            "own": (joined["IPAddress"], 80),
            "gateway": (joined["Gateway"], 22),
            "foreign": (foreign["IPAddress"], 80),
            "published": ("127.0.0.1", published),
            "loopback": ("127.0.0.1", published + 1),
            "mapped": (f"::ffff:{joined['IPAddress']}", 80),
            "metadata": ("169.254.169.254", 80),
        }
        permitted = {
            what: await engine.probe_targets.permitted(environment, "whatever", port, (address,)) == (address,)
            for what, (address, port) in asked.items()
        }
        async with open_stacks(tmp_path / "other", "dev/probe:intranet:80") as allowing:
            there = ("169.254.169.254",)
            assert await allowing.probe_targets.permitted(environment, "intranet", 80, there) == there
            assert await allowing.probe_targets.permitted(environment, "intranet", 81, there) == ()
            assert (
                await allowing.probe_targets.permitted(replace(environment, name="prod"), "intranet", 80, there) == ()
            )
    finally:
        other.remove(force=True)
    assert name.startswith(environment.project)
    assert {what for what, may in permitted.items() if may} == {"own", "published", "mapped"}
