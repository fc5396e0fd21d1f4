"""Compose is told to make one service, on a stack that hands have been at."""

import os
import subprocess
from collections.abc import Callable

import docker
import pytest

from roas.errors import ContainerConflictError, EngineError
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot, ContainerState
from roas.stack.stacks import Stacks
from tests.integration.stack.applying import deploy, draft, hashes_of, make

STACK = """
services:
  vpn: {image: "tiny:v1"}
  linked: {image: "tiny:${VERSION}", links: [vpn]}
  web: {image: "tiny:${VERSION}", network_mode: "service:vpn"}
  worker: {image: "tiny:${VERSION}", pid: "service:web", links: ["vpn:tunnel"]}
"""
COPIED = """
services:
  vpn: {image: "tiny:v1"}
  linked: {image: "tiny:${VERSION}", links: [vpn]}
  web: {image: "tiny:${VERSION}", network_mode: "service:vpn"}
  twice: {image: "tiny:${VERSION}", scale: 2}
"""
SHARED = """
services:
  vpn: {image: "tiny:v1"}
  web: {image: "tiny:${VERSION}", network_mode: "service:vpn"}
"""
REFUSED = """
services:
  bad: {image: "tiny:v1", cpuset: "4095"}
  web: {image: "tiny:v1"}
"""


def copy_with_labels(docker_client: docker.DockerClient, container: ContainerSnapshot, name: str | None = None) -> str:
    """Run a copy beside a container, as somebody does who has copied its `docker inspect`."""
    attrs = docker_client.containers.get(container.id).attrs
    copied = docker_client.containers.run(attrs["Image"], name=name, detach=True, labels=attrs["Config"]["Labels"])
    assert copied.id is not None
    return copied.id


async def test_stack_that_hands_paused_and_copied(
    engine: Stacks, stack: Callable[..., Environment], docker_client: docker.DockerClient
) -> None:
    """What hands did to one service is no affair of a deployment that makes another."""
    environment = stack(COPIED)
    drafted = await deploy(engine, environment, "v1")
    await paused_container_beside_missing_one(engine, environment, docker_client, drafted.model_hash)
    await paused_service_is_joined(engine, environment, docker_client, drafted.model_hash)
    copied = await copy_of_shared_service_moves_nobody(engine, environment, docker_client, drafted.model_hash)
    second = await draft(engine, environment, "v2")
    vpn = {item.id for item in await of_service(engine, environment, "vpn")}
    assert copied in vpn
    await engine.of(environment).create_service(second.model_hash, "linked")
    assert {item.id for item in await of_service(engine, environment, "vpn")} == vpn, "too many of what is linked to"
    await copy_under_the_same_number_is_replaced(engine, environment, docker_client, second.model_hash)


async def of_service(engine: Stacks, environment: Environment, service: str) -> list[ContainerSnapshot]:
    return [container for container in await engine.of(environment).containers() if container.service == service]


async def paused_container_beside_missing_one(
    engine: Stacks, environment: Environment, docker_client: docker.DockerClient, model_hash: str
) -> None:
    first, second = await of_service(engine, environment, "twice")
    docker_client.containers.get(first.id).pause()
    docker_client.containers.get(second.id).remove(force=True)
    for container_id in await engine.of(environment).create_service(model_hash, "twice"):
        await engine.of(environment).start(container_id)
    after = await of_service(engine, environment, "twice")
    assert [item.state for item in after] == [ContainerState.RUNNING] * 2
    assert first.id in {item.id for item in after}


async def paused_service_is_joined(
    engine: Stacks, environment: Environment, docker_client: docker.DockerClient, model_hash: str
) -> None:
    (vpn,), (web,) = [await of_service(engine, environment, name) for name in ("vpn", "web")]
    docker_client.containers.get(vpn.id).pause()
    docker_client.containers.get(web.id).remove(force=True)
    await engine.of(environment).create_missing(model_hash)
    (after,), (made,) = [await of_service(engine, environment, name) for name in ("vpn", "web")]
    assert (after.id, after.state, made.state) == (vpn.id, ContainerState.PAUSED, ContainerState.CREATED)
    docker_client.containers.get(vpn.id).unpause()


async def copy_of_shared_service_moves_nobody(
    engine: Stacks, environment: Environment, docker_client: docker.DockerClient, model_hash: str
) -> str:
    """What shares is wanted in the namespace of the container that stays, whatever the copy is called."""
    (vpn,), (web,) = [await of_service(engine, environment, name) for name in ("vpn", "web")]
    copied = copy_with_labels(docker_client, vpn, f"a-{environment.project}")
    assert (await hashes_of(engine.of(environment), model_hash))["web"] == web.config_hash
    return copied


async def copy_under_the_same_number_is_replaced(
    engine: Stacks, environment: Environment, docker_client: docker.DockerClient, model_hash: str
) -> None:
    """Compose gives a successor the name of its predecessor's number: two of one number cannot both have one."""
    first, _ = await of_service(engine, environment, "twice")
    copy_with_labels(docker_client, first)
    await engine.of(environment).create_service(model_hash, "twice")
    after = await of_service(engine, environment, "twice")
    assert sorted(item.name for item in after) == [f"{environment.project}-twice-{number}" for number in (1, 2)]


async def test_network_that_hands_removed_before_the_start(
    engine: Stacks, stack: Callable[..., Environment], docker_client: docker.DockerClient
) -> None:
    """As `docker compose down` does: no command or image is to blame, and the next try makes it again."""
    environment = stack('services: {web: {image: "tiny:v1"}}')
    model_hash, one = (await draft(engine, environment, "v1")).model_hash, engine.of(environment)
    (created,) = await one.create_service(model_hash, "web")
    docker_client.networks.get(f"{environment.project}_default").remove()
    with pytest.raises(ContainerConflictError, match="cannot be started: network"):
        await one.start(created)
    for container_id in await one.create_service(model_hash, "web"):
        await one.start(container_id)
    (web,) = await of_service(engine, environment, "web")
    assert web.state is ContainerState.RUNNING


async def test_what_is_made_has_the_hash_that_is_wanted(engine: Stacks, stack: Callable[..., Environment]) -> None:
    """And then nothing is to be made; nor is it where only what is linked to or shared is otherwise in the file."""
    environment = stack(STACK)
    drafted = await draft(engine, environment, "v1")
    made = await make(engine, environment, drafted.model_hash)
    assert {service.service: service.config_hash for service in made} == await hashes_of(
        engine.of(environment), drafted.model_hash
    )
    assert [item.id for item in await make(engine, environment, drafted.model_hash)] == [item.id for item in made]
    await nothing_that_is_linked_to_is_replaced(engine, stack)


async def nothing_that_is_linked_to_is_replaced(engine: Stacks, stack: Callable[..., Environment]) -> None:
    """To make a service, Compose's own `create` would also make anew what it links to, wherever that is otherwise."""
    text = STACK.replace('image: "tiny:v1"', 'image: "tiny:v1", labels: {a: "1"}')
    environment = stack(text.replace("links: [vpn]", "links: [vpn], labels: {a: '1'}"))
    before = {container.service: container.id for container in await engine.of(environment).containers()}
    drafted = await draft(engine, environment, "v1")
    await engine.of(environment).create_service(drafted.model_hash, "linked")
    after = {container.service: container.id for container in await engine.of(environment).containers()}
    assert {name for name in after if after[name] != before[name]} == {"linked"}


@pytest.mark.long
async def test_service_is_made_in_a_namespace_that_hands_changed(
    engine: Stacks, stack: Callable[..., Environment], docker_host: str
) -> None:
    """A recovery makes `web` alone: it joins the `vpn` that there is, which stays as hands left it."""
    environment = stack(SHARED)
    drafted = await deploy(engine, environment, "v1")
    stack(SHARED.replace('"tiny:v1"}', '"tiny:v1", labels: {a: "1"}}'))
    command = ["docker-compose", "-p", environment.project, "-f", str(environment.compose_files[0])]
    subprocess.run(
        [*command, "up", "-d", "--no-deps", "vpn"],
        env={**os.environ, "DOCKER_HOST": docker_host, "VERSION": "v1"},
        check=True,
        capture_output=True,
    )
    await web_is_made(engine, environment, drafted.model_hash, lost=False)
    await web_is_made(engine, environment, drafted.model_hash, lost=True)


async def web_is_made(engine: Stacks, environment: Environment, model_hash: str, *, lost: bool) -> None:
    (vpn,), (web,) = [await of_service(engine, environment, name) for name in ("vpn", "web")]
    if lost:
        await engine.of(environment).remove(web.id)
    for container_id in await engine.of(environment).create_service(model_hash, "web", recreate=not lost):
        await engine.of(environment).start(container_id)
    after = {container.service: container for container in await engine.of(environment).containers()}
    assert after["web"].state is ContainerState.RUNNING
    assert after["web"].id != web.id
    assert after["vpn"].id == vpn.id
    model = await engine.load_model(model_hash)
    strict, joined = [
        (await engine.of(environment).wanted_services(model, as_it_is=as_it_is))["web"] for as_it_is in (False, True)
    ]
    assert (strict.fits(after["web"]), joined.fits(after["web"])) == (False, True), "a deployment makes both anew"


async def test_fault_of_one_of_many_names_its_service(engine: Stacks, stack: Callable[..., Environment]) -> None:
    """What is made together is made by one call: the engine's words say which container it refused to nobody."""
    environment = stack(REFUSED)
    drafted = await draft(engine, environment, "v1")
    made = await engine.of(environment).create_missing(drafted.model_hash)
    assert {service.service for service in made} <= {"web"}
    for container_id in await engine.of(environment).create_service(drafted.model_hash, "web"):
        await engine.of(environment).start(container_id)
    with pytest.raises(EngineError, match="CPU") as refused:
        await engine.of(environment).create_service(drafted.model_hash, "bad")
    assert refused.value.service == "bad"
    assert {(container.service, container.state) for container in await engine.of(environment).containers()} == {
        ("web", ContainerState.RUNNING)
    }
