"""Compose is told to make one service, on a stack that hands have been at."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from roas.engine.client import EngineClients
from roas.engine.compose_engine import ComposeEngine
from roas.engine.images.readable_names import set_references
from roas.errors import EngineError
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot, ContainerState
from tests.integration.engine.applying import apply, deploy, draft

LINKED = """
services:
  vpn: {image: "tiny:v1"}
  web: {image: "tiny:${VERSION}", links: [vpn]}
"""
SHARED = """
services:
  vpn: {image: "tiny:v1"}
  web: {image: "tiny:${VERSION}", network_mode: "service:vpn"}
"""
BOTH = """
services:
  vpn: {image: "tiny:v1"}
  web: {image: "tiny:${VERSION}", network_mode: "service:vpn"}
  worker: {image: "tiny:${VERSION}", pid: "service:web", links: ["vpn:tunnel"]}
"""
REFUSED = """
services:
  bad: {image: "tiny:v1", cpuset: "4095"}
  web: {image: "tiny:v1"}
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
    """What is too many of `vpn` is no affair of a deployment that makes `web`."""
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
    environment = stack(SHARED)
    drafted = await deploy(engine, environment, "v1")
    vpn, web = await engine.containers(environment)
    docker_client.containers.get(vpn.id).pause()
    docker_client.containers.get(web.id).remove(force=True)
    await engine.create_missing(environment, drafted.model_hash)
    after = await engine.containers(environment)
    assert [(one.service, one.state) for one in after] == [
        ("vpn", ContainerState.PAUSED),
        ("web", ContainerState.CREATED),
    ]
    assert after[0].id == vpn.id


@pytest.mark.parametrize("text", [LINKED, SHARED, BOTH], ids=["linked", "shared", "both"])
async def test_what_is_made_has_the_hash_that_is_wanted(
    engine: ComposeEngine, stack: Callable[..., Environment], text: str
) -> None:
    environment = stack(text)
    drafted = await deploy(engine, environment, "v1")
    made = await engine.containers(environment)
    assert {one.service: one.config_hash for one in made} == await engine.current_hashes(
        drafted.model_hash, environment
    )
    await apply(engine, environment, drafted.model_hash)
    assert [one.id for one in await engine.containers(environment)] == [one.id for one in made]


async def test_nothing_that_is_linked_to_is_replaced(engine: ComposeEngine, stack: Callable[..., Environment]) -> None:
    """To make a service, Compose's own `create` would also make anew what it links to, wherever that is otherwise."""
    environment = stack(LINKED.replace("links: [vpn]", "links: [vpn], labels: {a: '1'}"))
    await deploy(engine, environment, "v1")
    before = {one.service: one.id for one in await engine.containers(environment)}
    stack(LINKED.replace('image: "tiny:v1"', 'image: "tiny:v1", labels: {a: "1"}'))
    drafted = await draft(engine, environment, "v1")
    await engine.create_service(environment, drafted.model_hash, "web")
    after = {one.service: one.id for one in await engine.containers(environment)}
    assert after["vpn"] == before["vpn"]
    assert after["web"] != before["web"]


@pytest.mark.parametrize("text", [LINKED, SHARED, BOTH], ids=["linked", "shared", "both"])
async def test_what_the_release_before_made_stays(
    engine: ComposeEngine, stack: Callable[..., Environment], docker_host: str, tmp_path: Path, text: str
) -> None:
    """It let Compose make a service with all that it shares with or links to: Compose 2.26 hashes that otherwise."""
    environment = stack(text)
    drafted = await draft(engine, environment, "v1")
    model = next((tmp_path / "state").rglob(f"*{drafted.model_hash}*"))
    services = (await engine.load_model(drafted.model_hash))["services"]
    clients = EngineClients()
    await set_references(clients, environment, services)
    await clients.close()
    for service in ("vpn", "web", *(["worker"] if text == BOTH else [])):
        command = ["docker-compose", "-p", environment.project, "-f", str(model), "create", "--pull", "never", service]
        subprocess.run(command, env={**os.environ, "DOCKER_HOST": docker_host}, check=True, capture_output=True)
    made = await engine.containers(environment)
    assert {one.service: one.config_hash for one in made} == await engine.current_hashes(
        drafted.model_hash, environment
    )
    await apply(engine, environment, drafted.model_hash)
    assert [one.id for one in await engine.containers(environment)] == [one.id for one in made]
    drafted = await draft(engine, environment, "v2")
    await apply(engine, environment, drafted.model_hash)
    after = {one.service: one for one in await engine.containers(environment)}
    assert {name for name, one in after.items() if one.id in {old.id for old in made}} == {"vpn"}


@pytest.mark.parametrize("lost", [True, False], ids=["lost", "anew"])
async def test_service_is_made_in_a_namespace_that_hands_changed(
    engine: ComposeEngine, stack: Callable[..., Environment], docker_host: str, lost: bool
) -> None:
    """A recovery makes `web` alone: it joins the `vpn` that there is, which stays as hands left it."""
    environment = stack(SHARED)
    drafted = await deploy(engine, environment, "v1")
    web = next(one for one in await engine.containers(environment) if one.service == "web")
    stack(SHARED.replace('"tiny:v1"}', '"tiny:v1", labels: {a: "1"}}'))
    command = ["docker-compose", "-p", environment.project, "-f", str(environment.compose_files[0])]
    subprocess.run(
        [*command, "up", "-d", "--no-deps", "vpn"],
        env={**os.environ, "DOCKER_HOST": docker_host, "VERSION": "v1"},
        check=True,
        capture_output=True,
    )
    vpn = next(one for one in await engine.containers(environment) if one.service == "vpn")
    if lost:
        await engine.remove(environment, web.id)
    for container_id in await engine.create_service(environment, drafted.model_hash, "web", anew=not lost):
        await engine.start(environment, container_id)
    after = {one.service: one for one in await engine.containers(environment)}
    assert after["web"].state is ContainerState.RUNNING
    assert after["web"].id != web.id
    assert after["vpn"].id == vpn.id
    model = await engine.load_model(drafted.model_hash)
    strict, joined = [
        (await engine.wanted_services(environment, model, as_it_is=as_it_is))["web"] for as_it_is in (False, True)
    ]
    assert (strict.fits(after["web"]), joined.fits(after["web"])) == (False, True), "a deployment makes both anew"


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


async def test_fault_of_one_of_many_names_its_service(engine: ComposeEngine, stack: Callable[..., Environment]) -> None:
    """What is made together is made by one call: the engine's words say which container it refused to nobody."""
    environment = stack(REFUSED)
    drafted = await draft(engine, environment, "v1")
    made = await engine.create_missing(environment, drafted.model_hash)
    assert {one.service for one in made} <= {"web"}
    for container_id in await engine.create_service(environment, drafted.model_hash, "web"):
        await engine.start(environment, container_id)
    with pytest.raises(EngineError, match="CPU") as refused:
        await engine.create_service(environment, drafted.model_hash, "bad")
    assert refused.value.service == "bad"
    assert {(one.service, one.state) for one in await engine.containers(environment)} == {
        ("web", ContainerState.RUNNING)
    }
