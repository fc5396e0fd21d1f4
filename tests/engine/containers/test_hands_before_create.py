"""Compose is told to make one service, on a stack that hands have been at."""

from collections.abc import Callable

import docker

from roas.engine.compose_engine import ComposeEngine
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot, ContainerState
from tests.engine.applying import deploy, draft

LINKED = """
services:
  vpn: {image: "tiny:v1"}
  web: {image: "tiny:${VERSION}", links: [vpn]}
"""
SHARED = """
services:
  vpn: {image: "tiny:v1"}
  web: {image: "tiny:v1", network_mode: "service:vpn"}
"""
TWICE = """
services:
  web: {image: "tiny:${VERSION}", scale: 2}
"""


def copy_with_labels(docker_client: docker.DockerClient, container: ContainerSnapshot, name: str | None = None) -> str:
    """Run a copy beside a container, as somebody does who has copied its `docker inspect`."""
    attrs = docker_client.containers.get(container.id).attrs
    copied = docker_client.containers.run(attrs["Image"], name=name, detach=True, labels=attrs["Config"]["Labels"])
    assert copied.id is not None
    return copied.id


async def test_copy_of_linked_service_is_kept(
    engine: ComposeEngine, stack: Callable[..., Environment], docker_client: docker.DockerClient
) -> None:
    """To make `web`, Compose looks at `vpn` too: what is too many there is no affair of this deployment's."""
    environment = stack(LINKED)
    await deploy(engine, environment, "v1")
    vpn = next(one for one in await engine.containers(environment) if one.service == "vpn")
    copied = copy_with_labels(docker_client, vpn)
    drafted = await draft(engine, environment, "v2")
    await engine.create_service(environment, drafted.model_hash, "web")
    assert {one.id for one in await engine.containers(environment) if one.service == "vpn"} == {vpn.id, copied}


async def test_copy_of_shared_service_moves_nobody(
    engine: ComposeEngine, stack: Callable[..., Environment], docker_client: docker.DockerClient
) -> None:
    """What shares is wanted in the namespace of the container that stays, whatever the copy is called."""
    environment = stack(SHARED)
    drafted = await deploy(engine, environment, "v1")
    vpn, web = await engine.containers(environment)
    copy_with_labels(docker_client, vpn, f"a-{environment.project}")
    assert (await engine.current_hashes(drafted.model_hash, environment))["web"] == web.config_hash


async def test_paused_container_beside_missing_one(
    engine: ComposeEngine, stack: Callable[..., Environment], docker_client: docker.DockerClient
) -> None:
    environment = stack(TWICE)
    drafted = await deploy(engine, environment, "v1")
    first, second = await engine.containers(environment)
    docker_client.containers.get(first.id).pause()
    docker_client.containers.get(second.id).remove(force=True)
    for container_id in await engine.create_service(environment, drafted.model_hash, "web"):
        await engine.start(environment, container_id)
    after = await engine.containers(environment)
    assert [one.state for one in after] == [ContainerState.RUNNING] * 2
    assert first.id in {one.id for one in after}


async def test_paused_service_is_joined(
    engine: ComposeEngine, stack: Callable[..., Environment], docker_client: docker.DockerClient
) -> None:
    """To create `web`, Compose starts what it is to join, and the engine refuses to start what is paused."""
    environment = stack(SHARED)
    drafted = await deploy(engine, environment, "v1")
    vpn, web = await engine.containers(environment)
    docker_client.containers.get(vpn.id).pause()
    docker_client.containers.get(web.id).remove(force=True)
    await engine.create_missing(environment, drafted.model_hash)
    after = await engine.containers(environment)
    assert [(one.service, one.state) for one in after] == [
        ("vpn", ContainerState.RUNNING),
        ("web", ContainerState.CREATED),
    ]
    assert after[0].id == vpn.id


async def test_copy_under_the_same_number_is_replaced(
    engine: ComposeEngine, stack: Callable[..., Environment], docker_client: docker.DockerClient
) -> None:
    """Compose gives a successor the name of its predecessor's number: two of one number cannot both have one."""
    environment = stack(TWICE)
    await deploy(engine, environment, "v1")
    first, _ = await engine.containers(environment)
    copy_with_labels(docker_client, first)
    drafted = await draft(engine, environment, "v2")
    await engine.create_service(environment, drafted.model_hash, "web")
    after = await engine.containers(environment)
    assert sorted(one.name for one in after) == [f"{environment.project}-web-{number}" for number in (1, 2)]
