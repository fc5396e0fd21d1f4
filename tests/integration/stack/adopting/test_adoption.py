"""A stack that was started by hand is taken over as it is."""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import docker
import pytest

from roas.models.actor import Actor, ActorKind
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot
from roas.models.release import Release, ReleaseState
from roas.models.stack import DependencyCondition
from roas.stack.adopting.adoption import adopt_project
from roas.stack.model.definitions import read_definitions
from roas.stack.model.services import ADOPTED_HASH, WRITTEN
from roas.stack.releases.stack_releases import StackReleases
from roas.stack.stacks import Stacks
from testbed.engine import manual_environment
from tests.integration.stack.applying import apply, differs_in_nothing, draft, hashes_of
from tests.integration.stack.normalised import normalised

EVERYTHING = """
services:
  plain:
    image: tiny:v1
  web:
    image: tiny:v1
    command: ["sh", "-c", "echo $$HOME; exec sleep 1000"]
    environment: {A: "1", PRICE: "5$$", PATH: "/bin:/x"}
    labels: {own: "yes$$", tiny: "1"}
    healthcheck:
      {test: ["CMD", "true"], interval: 2s, timeout: 1500ms, retries: 4, start_period: 5s, start_interval: 1s}
    user: "1000:1000"
    working_dir: /tmp
    stop_signal: SIGINT
    stop_grace_period: 1m30s
    hostname: webby
    domainname: example.test
    init: true
    read_only: true
    tmpfs: ["/run:size=65536"]
    cap_add: [NET_ADMIN]
    cap_drop: [MKNOD]
    security_opt: ["no-new-privileges:true"]
    group_add: ["123"]
    extra_hosts: ["other:10.9.8.7"]
    dns: ["9.9.9.9"]
    dns_search: [example.test]
    logging: {driver: local, options: {max-size: 1m}}
    shm_size: 32m
    sysctls: {net.core.somaxconn: "1024"}
    ulimits: {nofile: {soft: 1000, hard: 2000}, nproc: 500}
    mem_limit: 64m
    mem_reservation: 32m
    cpus: 0.5
    cpu_shares: 512
    pids_limit: 100
    oom_score_adj: 100
    restart: on-failure:3
    ports: ["127.0.0.1::8080", "8081/udp"]
    expose: ["9000"]
    volumes:
      - ./site:/site:ro
      - ./data:/data
      - store:/store
      - /anonymous
      - {type: tmpfs, target: /scratch, tmpfs: {size: 65536}}
    depends_on: {db: {condition: service_healthy, restart: true}}
    networks:
      default: {aliases: [www]}
      back: {ipv4_address: 10.213.250.9}
  db:
    image: tiny:v1
    stop_signal: SIGKILL
    entrypoint: ["sh", "-c"]
    command: ["exec sleep 1000"]
    healthcheck: {test: ["CMD-SHELL", "true"], interval: 1s, start_period: 5s, start_interval: 100ms}
    restart: unless-stopped
    networks: [back]
  sidecar:
    image: tiny:v1
    command: ["sleep", "1000"]
    stop_signal: SIGKILL
    network_mode: "service:db"
    pid: "service:db"
  linked:
    image: tiny:v1
    links: ["db:database"]
    mem_limit: 64m
    memswap_limit: -1
    networks: [back]
  named:
    image: tiny:v1
    container_name: ${NAME}
    healthcheck: {disable: true}
  job:
    image: tiny:v1
    command: ["true"]
  many:
    image: tiny:v1
    deploy: {replicas: 2}
networks:
  back:
    internal: true
    ipam: {config: [{subnet: 10.213.250.0/24}]}
volumes: {store: {}}
"""


def start_manually(environment: Environment, *arguments: str) -> None:
    """Start the stack as a person would."""
    subprocess.run(
        [
            "docker",
            "compose",
            "-p",
            environment.project,
            "-f",
            str(environment.compose_files[0]),
            "up",
            "-d",
            *arguments,
        ],
        env={
            **manual_environment(environment.docker_host),
            "NAME": f"{environment.project}-special",
        },
        check=True,
        capture_output=True,
    )


@pytest.fixture
def environment(environment: Environment) -> Environment:
    """An environment whose settings allow what its stack has."""
    return replace(environment, allowed=("cap_add:web",))


@pytest.fixture
def manually(stack: Callable[..., Environment]) -> Environment:
    """A stack with every field that is adopted, started by hand."""
    environment = stack(EVERYTHING)
    for name in ("site", "data"):
        (environment.folder / name).mkdir()
    start_manually(environment)
    return environment


def looks(client: docker.DockerClient, containers: Any) -> dict[str, dict[str, Any]]:
    return {c.name: normalised(client, c.id) for c in containers}


@pytest.mark.long
async def test_stack_is_taken_over_as_it_is(
    engine: Stacks, manually: Environment, docker_client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First by looks alone; then all of it is made again from what was adopted. The files would say all of it."""

    async def unread(_self: object, _version: object, model: object, _images: object) -> object:
        return model

    monkeypatch.setattr(StackReleases, "_as_in_files", unread)
    await adopted_stack_keeps_order_names_and_references(engine, manually)
    with monkeypatch.context() as patched:
        for name in ("check", "check_bound"):
            patched.setattr(f"roas.stack.policy.compose_policy.ComposePolicy.{name}", lambda *_: ())
        await adopted_that_is_as_wanted_stays(engine, manually)
        await adopted_that_is_another_says_in_what(engine, manually)
    old = await engine.of(manually).containers()
    before = looks(docker_client, old)
    await adopted_left_alone_until_replaced(engine, manually, docker_client)
    model_hash = await to_be_made_again(engine, manually)
    new = await apply(engine, manually, model_hash)
    recreation_from_adopted_is_identical(docker_client, old, before, new)
    await compose_up_on_adopted_changes_nothing_else(engine, manually, model_hash)


def recreation_from_adopted_is_identical(
    docker_client: docker.DockerClient,
    old: Sequence[ContainerSnapshot],
    before: dict[str, dict[str, Any]],
    new: Sequence[ContainerSnapshot],
) -> None:
    assert not {c.id for c in old if c.service != "job"} & {c.id for c in new if c.service != "job"}
    after = looks(docker_client, new)
    assert after.keys() == before.keys()
    for name, look in before.items():
        for part, value in look.items():
            # Files belong to the release: they are bound by content, as they are at the adoption.
            left, right = _from_anywhere(after[name][part]), _from_anywhere(value)
            assert _plain(left, new, docker_client) == _plain(right, old, docker_client), (name, part)


def _from_anywhere(value: Any) -> Any:
    """Leave out where read-only files are bound from."""
    if not isinstance(value, list) or not all(isinstance(item, dict) and "Destination" in item for item in value):
        return value
    return [
        {key: item for key, item in mount.items() if key != "Source" or mount["Type"] != "bind" or mount["RW"]}
        for mount in value
    ]


async def to_be_made_again(engine: Stacks, environment: Environment) -> str:
    """Adopt what runs, and forget that its containers are there already."""
    draft = await engine.of(environment).releases.adopt()
    assert draft is not None
    model = dict(await engine.load_model(draft.model_hash))
    for fields in model["services"].values():
        assert fields["x-deploy"].pop(ADOPTED_HASH)
        fields["x-deploy"].pop(WRITTEN, None)
    return engine._parts.models.save(model)


async def adopted_left_alone_until_replaced(
    engine: Stacks, manually: Environment, docker_client: docker.DockerClient
) -> None:
    before = {c.name: c.id for c in await engine.of(manually).containers()}
    draft = await engine.of(manually).releases.adopt()
    assert draft is not None
    assert {c.name: c.id for c in await apply(engine, manually, draft.model_hash)} == before
    (db,) = (c for c in await engine.of(manually).containers() if c.service == "db")
    docker_client.api.remove_container(db.id, force=True)
    after = {c.name: c.id for c in await apply(engine, manually, draft.model_hash)}
    made_again = {name for name, container_id in after.items() if before[name] != container_id}
    expected = {f"{manually.project}-db-1", f"{manually.project}-sidecar-1"}
    assert made_again == expected, "with what shares its namespaces"
    draft = await engine.of(manually).releases.adopt()  # now the new one gets the hash of the one before
    assert draft is not None
    docker_client.api.remove_container(after[f"{manually.project}-db-1"], force=True)
    again = {c.name: c.id for c in await apply(engine, manually, draft.model_hash)}
    assert {name for name, container_id in again.items() if after[name] != container_id} == expected


def _plain(value: Any, containers: Any, client: docker.DockerClient) -> Any:
    """Write ids of containers as names, and leave out ports that the engine chose."""
    text = repr(value)
    for container in containers:
        text = text.replace(container.id, f"<{container.name}>")
    return text


async def adopted_stack_keeps_order_names_and_references(engine: Stacks, manually: Environment) -> None:
    draft = await engine.of(manually).releases.adopt()
    assert draft is not None
    definitions = engine.definitions(await engine.load_model(draft.model_hash))
    (dependency,) = definitions["web"].dependencies
    assert (dependency.on, dependency.condition, dependency.restart) == ("db", DependencyCondition.HEALTHY, True)
    assert definitions["many"].replicas == 2
    assert definitions["named"].fixed_place == f"the fixed name {manually.project}-special"
    assert definitions["job"].one_shot
    assert {s.image.reference for s in draft.services} == {"tiny:v1"}


async def compose_up_on_adopted_changes_nothing_else(engine: Stacks, manually: Environment, model_hash: str) -> None:
    before = {c.id: c.service for c in await engine.of(manually).containers()}
    copy = manually.folder / "adopted.yml"
    copy.write_text(engine._parts.models.path(model_hash).read_text())
    subprocess.run(
        ["docker", "compose", "-p", manually.project, "-f", str(copy), "up", "-d"],
        env=manual_environment(manually.docker_host),
        check=True,
        capture_output=True,
    )
    after = await engine.of(manually).containers()
    # Compose 2.26 makes anew what links or shares (decision 3), and that is as it is wanted, too.
    assert {name for id_, name in before.items() if id_ not in {c.id for c in after}} <= {"linked", "sidecar"}
    assert {c.service: c.config_hash for c in after} == await hashes_of(engine.of(manually), model_hash)
    assert [c.id for c in await apply(engine, manually, model_hash)] == [c.id for c in after]


async def test_nothing_running_adopts_nothing(engine: Stacks, stack: Callable[..., Environment]) -> None:
    assert await engine.of(stack("services: {web: {image: 'tiny:v1'}}")).releases.adopt() is None


async def test_misnamed_leftover_adopted_under_right_name(
    engine: Stacks, stack: Callable[..., Environment], docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    environment = stack("services: {web: {image: 'tiny:v1'}}")
    start_manually(environment)
    (web,) = await engine.of(environment).containers()
    docker_client.api.rename(web.id, f"0123456789ab_{web.name}")
    adopted = await adopt_project(engine._parts.clients.of(environment))
    assert adopted is not None
    assert "container_name" not in adopted.model["services"]["web"]
    assert adopted.model["services"]["web"]["networks"] == {"default": None}, "its right name is no alias of its own"
    assert read_definitions(adopted.model)["web"].fixed_place == ""


async def adopted_that_is_as_wanted_stays(engine: Stacks, manually: Environment) -> None:
    """The compose file that a stack was started from recreates nothing of it, now and in the releases after."""
    environment = replace(manually, variables={"NAME": f"{manually.project}-special"})
    before = {c.name: c.id for c in await engine.of(environment).containers()}
    drafted = await draft(engine, environment)
    model = await engine.load_model(drafted.model_hash)
    services = model["services"]
    assert {name: fields["x-deploy"].get("unlike") for name, fields in services.items()} == dict.fromkeys(services)
    await differs_in_nothing(engine.of(environment), model)
    assert {c.name: c.id for c in await apply(engine, environment, drafted.model_hash)} == before
    actor = Actor(ActorKind.SYSTEM, "0", "test")
    succeeded, now = ReleaseState.SUCCEEDED, datetime.now(UTC)
    first = Release("dev", 1, "v1", succeeded, drafted.services, drafted.model_hash, now, actor)
    stack = await engine.of(environment).resolve("v1")
    wanted = await engine.of(stack.environment).images.look_up(stack, frozenset(stack.definitions))
    images = {name: image.image_id for name, image in wanted.items() if image.image_id}
    second = await engine.of(stack.environment).releases.pin(stack, images, kept_from=first)
    assert {c.name: c.id for c in await apply(engine, environment, second.model_hash)} == before


READS_SLOWLY = "blkio_config: {device_read_bps: [{path: /dev/null, rate: 1mb}]}"
DIFFERENCES = {
    ('A: "1"', 'A: "2"'): "environment",
    ("mem_limit: 64m", "mem_limit: 65m"): "mem_limit",
    ("restart: on-failure:3", "restart: always"): "restart",
    ("- ./data:/data", "- ./data:/data:ro"): "volumes",
    ("{aliases: [www]}", "{aliases: [web2]}"): "networks",
    ("init: true", "init: false"): "init",
    ("retries: 4", "retries: 5"): "healthcheck",
    ("hostname: webby", "hostname: webster"): "hostname",
    ("nproc: 500", "nproc: 501"): "ulimits",
    ('"8081/udp"', '"8082/udp"'): "ports",
    ("working_dir: /tmp", f"working_dir: /tmp\n    {READS_SLOWLY}"): "blkio_config",
}
# What Compose is asked about at once: no two of these are taken for each other.
TOGETHER = [dict(list(DIFFERENCES.items())[number::3]) for number in range(3)]


async def adopted_that_is_another_says_in_what(engine: Stacks, manually: Environment) -> None:
    environment = replace(manually, variables={"NAME": f"{manually.project}-special"})
    for differences in TOGETHER:
        text = EVERYTHING
        for old, new in differences:
            assert old in EVERYTHING
            text = text.replace(old, new)
        environment.compose_files[0].write_text(text)
        stack = await engine.of(environment).resolve("v1", write_contents=False)
        wanted = await engine.of(stack.environment).images.look_up(stack, frozenset(stack.definitions))
        images = {name: image.image_id for name, image in wanted.items() if image.image_id}
        services = (await engine.of(stack.environment).releases.preview(stack, images))["services"]
        assert services["web"]["x-deploy"].get("unlike") == sorted(differences.values())
        assert "unlike" not in services["db"]["x-deploy"]
    environment.compose_files[0].write_text(EVERYTHING)
    other = environment.folder / "site" / "index.html"
    other.write_text("another")
    stack = await engine.of(environment).resolve("v1", write_contents=False)
    assert (
        "unlike"
        not in (await engine.of(stack.environment).releases.preview(stack, images))["services"]["web"]["x-deploy"]
    )
    other.unlink()
