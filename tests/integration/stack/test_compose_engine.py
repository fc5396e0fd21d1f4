"""A stack moves from file to running containers, and stays there."""

import asyncio
import subprocess
from collections.abc import Callable
from dataclasses import replace

import docker
import pytest

from roas.errors import SecondCopyError
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.stack.containers.snapshots import take_outlines
from roas.stack.containers.watch import ContainerWatch
from roas.stack.interface import PinnedStack
from roas.stack.model.services import named_model
from roas.stack.stacks import Stacks
from testbed.engine import manual_environment
from tests.integration.stack.applying import apply, deploy, draft, hashes_of, make

TWO_SERVICES = """
services:
  db:
    image: tiny:v1
    healthcheck: {test: ["CMD", "true"], interval: 1s, start_period: 5s, start_interval: 100ms}
  web:
    image: tiny:${VERSION}
    environment: {GREETING: "a $$dollar and 1e3", COUNT: "007"}
    depends_on: {db: {condition: service_healthy}}
    networks: [default, back]
networks: {back: {}}
"""


def compose_manually(environment: Environment, engine: Stacks, model_hash: str, *arguments: str) -> str:
    """Run Compose on a release as `roas compose` does."""
    model = engine._parts.models.load(model_hash)
    names = {name: str(fields["x-deploy"]["written"]["image"]) for name, fields in model["services"].items()}
    file = str(engine._parts.models.path(engine._parts.models.save(named_model(model, names))))
    done = subprocess.run(
        ["docker", "compose", "-p", environment.project, "-f", file, *arguments],
        env=manual_environment(environment.docker_host),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout + done.stderr


@pytest.mark.long
async def test_stack_goes_from_version_to_version(
    engine: Stacks, stack: Callable[..., Environment], docker_client: docker.DockerClient
) -> None:
    """One stack: started as in its file, left alone, replaced beside the old, freed of surplus, and replaced."""
    environment = stack(TWO_SERVICES)
    first = await draft(engine, environment, "v1")
    await engine.of(environment).create_missing(first.model_hash)
    await event_right_after_subscribe_is_received(engine, environment)
    await apply(engine, environment, first.model_hash)
    await stack_is_as_in_file(engine, environment, docker_client, first)
    await what_is_as_wanted_is_left_alone(engine, environment, first.model_hash)
    await start_first_runs_new_beside_old(engine, environment)
    await healthy_duplicate_is_removed(engine, environment, first.model_hash)
    stack(TWO_SERVICES.replace("image: tiny:v1", "image: tiny:v2"))
    await create_leaves_dependencies_alone(engine, environment)
    stack(TWO_SERVICES)
    await new_version_replaces_changed_service(engine, environment, docker_client)


async def event_right_after_subscribe_is_received(engine: Stacks, environment: Environment) -> None:
    db = (await by_service(engine, environment))["db"].id
    seen: list[tuple[str, str]] = []
    async with engine.of(environment).events() as events:
        await engine.of(environment).start(db)
        async with asyncio.timeout(20):
            async for event in events:
                seen.append((event.action, event.attributes.get("health_status", "")))
                assert (event.service, event.project, event.container_id) == ("db", environment.project, db)
                if event.action == "health_status":
                    break
    assert seen == [("start", ""), ("health_status", "healthy")]


async def by_service(engine: Stacks, environment: Environment) -> dict[str, ContainerSnapshot]:
    found = await engine.of(environment).containers()
    services = {service.service: service for service in found}
    assert len(services) == len(found)
    return services


async def stack_is_as_in_file(
    engine: Stacks, environment: Environment, docker_client: docker.DockerClient, drafted: PinnedStack
) -> None:
    containers = await engine.of(environment).containers()
    assert [(c.service, c.state) for c in containers] == [
        ("db", ContainerState.RUNNING),
        ("web", ContainerState.RUNNING),
    ]
    hashes = await hashes_of(engine.of(environment), drafted.model_hash)
    assert {c.service: c.config_hash for c in containers} == hashes
    web = docker_client.containers.get(containers[1].id).attrs["Config"]["Env"]
    assert "GREETING=a $dollar and 1e3" in web
    assert "COUNT=007" in web
    assert {s.name: s.image.reference for s in drafted.services} == {"db": "tiny:v1", "web": "tiny:v1"}


async def what_is_as_wanted_is_left_alone(engine: Stacks, environment: Environment, model_hash: str) -> None:
    before = await engine.of(environment).containers()
    compose_manually(environment, engine, model_hash, "up", "-d")
    assert [c.id for c in await engine.of(environment).containers()] == [c.id for c in before]
    assert await engine.of(environment).create_service(model_hash, "web") == ()
    assert [c.id for c in await engine.of(environment).containers()] == [c.id for c in before]


async def start_first_runs_new_beside_old(engine: Stacks, environment: Environment) -> None:
    old = (await by_service(engine, environment))["web"]
    second = await draft(engine, environment, "v2")
    (created,) = await engine.of(environment).create_service(second.model_hash, "web", beside=True)
    await engine.of(environment).start(created)
    running = {c.id: c.state for c in await engine.of(environment).containers() if c.service == "web"}
    assert running == {old.id: ContainerState.RUNNING, created: ContainerState.RUNNING}
    assert await engine.of(environment).create_service(second.model_hash, "web", beside=True) == ()
    await engine.of(environment).remove(old.id)
    compose_manually(environment, engine, second.model_hash, "up", "-d", "web")
    assert (await by_service(engine, environment))["web"].id == created


async def healthy_duplicate_is_removed(engine: Stacks, environment: Environment, model_hash: str) -> None:
    """What is not of the release goes, however well it is."""
    (created,) = await engine.of(environment).create_service(model_hash, "web", beside=True)
    await engine.of(environment).start(created)
    assert len(await engine.of(environment).containers()) == 3
    assert await engine.of(environment).create_service(model_hash, "web") == ()
    assert (await by_service(engine, environment))["web"].id == created


async def create_leaves_dependencies_alone(engine: Stacks, environment: Environment) -> None:
    """The file says another `db`, too."""
    before = await by_service(engine, environment)
    drafted = await draft(engine, environment, "v2")
    await engine.of(environment).create_service(drafted.model_hash, "web")
    after = await by_service(engine, environment)
    assert after["db"].id == before["db"].id
    assert after["web"].id != before["web"].id


async def new_version_replaces_changed_service(
    engine: Stacks, environment: Environment, docker_client: docker.DockerClient
) -> None:
    before = await by_service(engine, environment)
    assert before["web"].image_id == docker_client.images.get("tiny:v2").id
    await deploy(engine, environment, "v1")
    after = await by_service(engine, environment)
    assert after["db"].id == before["db"].id
    assert after["web"].id != before["web"].id
    assert after["web"].image_id == docker_client.images.get("tiny:v1").id
    assert after["web"].name == before["web"].name


ALL_STATES = """
services:
  healthy:
    image: tiny:v1
    healthcheck: {test: ["CMD", "true"], interval: 1s, start_period: 5s, start_interval: 100ms}
  fails: {image: tiny:v1, command: ["sh", "-c", "exit 3"]}
  made: {image: tiny:v1}
  paused: {image: tiny:v1}
"""


async def test_outline_tells_what_a_whole_look_tells(
    engine: Stacks, stack: Callable[..., Environment], docker_client: docker.DockerClient
) -> None:
    environment = stack(ALL_STATES)
    drafted = await draft(engine, environment)
    await engine.of(environment).create_missing(drafted.model_hash)
    made = {container.service: container.id for container in await engine.of(environment).containers()}
    async with ContainerWatch(engine.of(environment)) as watch:
        for name in ("healthy", "fails", "paused"):
            await engine.of(environment).start(made[name])
        docker_client.containers.get(made["paused"]).pause()
        await watch.until(lambda there: all(map(_is_settled, there)) or None, 60)
    whole = await engine.of(environment).containers()
    only_looked_at = {
        "restart_count": 0,
        "started_at": None,
        "restart_policy": "no",
        "stop_signal": None,
        "created_at": None,
    }
    told = [replace(item, **only_looked_at) for item in whole]
    listed = await take_outlines(engine.of(environment).engine)
    assert all(item.endpoints for item in listed if item.state == "running"), "the list alone tells of these"
    assert [replace(item, endpoints=(), created_at=None) for item in listed] == told
    assert {item.state for item in told} == {"running", "exited", "created", "paused"}
    assert {container.health for container in told} == {"healthy", "none"}


def _is_settled(container: ContainerSnapshot) -> bool:
    settled = {"healthy": container.health is HealthStatus.HEALTHY, "fails": container.exit_code == 3}
    settled["paused"] = container.state is ContainerState.PAUSED
    return settled.get(container.service, True)


async def test_bot_environment_hidden_from_stack(
    engine: Stacks, stack: Callable[..., Environment], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the stack's own file says counts, and a version that is asked for more than that."""
    for variable in ("COMPOSE_PROJECT_NAME", "VERSION", "DISCORD_TOKEN", "COMPOSE_FILE"):
        monkeypatch.setenv(variable, f"leaked{variable}")
    environment = stack(
        "services: {web: {image: 'tiny:${VERSION}', environment: {A: '${DISCORD_TOKEN-none}', DISCORD_TOKEN: }}}",
        env="VERSION=v2\n",
    )
    resolved = await engine.of(environment).resolve(None)
    assert resolved.version == "v2"
    assert resolved.definitions["web"].image == "tiny:v2"
    assert resolved.model["services"]["web"]["environment"]["A"] == "none"
    assert "leaked" not in str(resolved.model)
    assert (await engine.of(environment).resolve("v1")).definitions["web"].image == "tiny:v1"
    drafted = await draft(engine, environment, None)
    await engine.of(environment).create_missing(drafted.model_hash)
    assert {c.project for c in await engine.of(environment).containers()} == {environment.project}


async def test_replicas_scale_up_and_down(engine: Stacks, stack: Callable[..., Environment]) -> None:
    environment = stack("services: {web: {image: 'tiny:v1', deploy: {replicas: 3}}}")
    await deploy(engine, environment, started=False)
    assert len(await engine.of(environment).containers()) == 3
    stack("services: {web: {image: 'tiny:v1', deploy: {replicas: 1}}}")
    await deploy(engine, environment, started=False)
    assert len(await engine.of(environment).containers()) == 1


async def test_new_network_made_before_use(
    engine: Stacks, stack: Callable[..., Environment], docker_client: docker.DockerClient
) -> None:
    environment = stack("services: {a: {image: 'tiny:v1'}, b: {image: 'tiny:v1'}}")
    await deploy(engine, environment, started=False)
    before = {c.id for c in await engine.of(environment).containers()}
    stack("services: {a: {image: 'tiny:v1', networks: [n]}, b: {image: 'tiny:v1', networks: [n]}}\nnetworks: {n: }")
    drafted = await draft(engine, environment)
    await engine.of(environment).create_missing(drafted.model_hash)
    assert {c.id for c in await engine.of(environment).containers()} == before
    assert docker_client.networks.list(names=[f"{environment.project}_n"])
    created = await asyncio.gather(
        *(engine.of(environment).create_service(drafted.model_hash, service) for service in ("a", "b"))
    )
    assert [len(ids) for ids in created] == [1, 1]


async def test_shared_namespace_follows_container(engine: Stacks, stack: Callable[..., Environment]) -> None:
    compose = """
services:
  db: {image: "tiny:${VERSION}"}
  side: {image: "tiny:v1", network_mode: "service:db"}
  tail: {image: "tiny:v1", pid: "service:side"}
"""
    environment = stack(compose)
    first = await draft(engine, environment, "v1")
    containers = await make(engine, environment, first.model_hash)
    hashes = await hashes_of(engine.of(environment), first.model_hash)
    assert {c.service: c.config_hash for c in containers} == hashes
    second = await draft(engine, environment, "v2")
    wanted = await hashes_of(engine.of(environment), second.model_hash)
    assert not {wanted[name] for name in ("db", "side", "tail")} & set(hashes.values())
    after = await make(engine, environment, second.model_hash)
    assert {c.service: c.config_hash for c in after} == await hashes_of(engine.of(environment), second.model_hash)
    assert not {c.id for c in after} & {c.id for c in containers}
    compose_manually(environment, engine, second.model_hash, "create")
    by_hand = await engine.of(environment).containers()
    assert {c.id for c in by_hand} == {c.id for c in after}
    assert {c.service: c.config_hash for c in by_hand} == await hashes_of(engine.of(environment), second.model_hash)
    assert await make(engine, environment, second.model_hash) == by_hand


async def test_release_is_never_made_twice(
    engine: Stacks, stack: Callable[..., Environment], docker_client: docker.DockerClient
) -> None:
    """Whoever would make a release under another project's name is refused, a recovery as much as a deployment."""
    environment = stack("services: {web: {image: 'tiny:v1', stop_grace_period: 0s}}")
    drafted = await deploy(engine, environment)
    renamed = replace(environment, project=f"{environment.project}-renamed")
    with pytest.raises(SecondCopyError, match=environment.project):
        await engine.of(renamed).create_missing(drafted.model_hash)
    with pytest.raises(SecondCopyError, match=environment.project):
        await engine.of(renamed).create_service(drafted.model_hash, "web")
    assert await engine.of(renamed).containers() == ()
    assert [container.state for container in await engine.of(environment).containers()] == [ContainerState.RUNNING]
