"""What a killed Compose leaves is fixed on an engine."""

import signal
import subprocess
import time
from collections.abc import Callable

import docker

from roas.models.environment import Environment
from roas.models.health import ContainerState
from roas.stack.images.readable_names import set_references
from roas.stack.stacks import Stacks
from testbed.engine import manual_environment
from tests.integration.stack.applying import deploy, draft, hashes_of


async def test_killed_update_swept_and_repeated(
    engine: Stacks, stack: Callable[..., Environment], docker_client: docker.DockerClient
) -> None:
    """Kill a real `up` while it waits for the old container to stop."""
    environment = stack(
        "services: {web: {image: 'tiny:${VERSION}', command: [sleep, '1000'], stop_grace_period: 20s}}",
    )
    first = await deploy(engine, environment, "v1")
    (old,) = await engine.of(environment).containers()
    second = await draft(engine, environment, "v2")
    services = (await engine.load_model(second.model_hash))["services"]
    await set_references(engine._parts.clients.of(environment), services)  # as before each Compose command of ours
    up = subprocess.Popen(
        [
            "docker-compose",
            "-p",
            environment.project,
            "-f",
            str(engine._parts.models.path(second.model_hash)),
            "up",
            "-d",
        ],
        env=manual_environment(environment.docker_host),
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 20
    while len(docker_client.api.containers(all=True, filters={"name": environment.project})) < 2:
        assert time.monotonic() < deadline
    up.send_signal(signal.SIGKILL)
    up.wait()
    names = {c.name for c in await engine.of(environment).containers()}
    assert names == {old.name, f"{old.id[:12]}_{old.name}"}
    assert len(await engine.of(environment).sweep()) == 1
    (left,) = await engine.of(environment).containers()
    assert (left.id, left.name) == (old.id, old.name)
    hashes = await hashes_of(engine.of(environment), first.model_hash)
    assert left.config_hash == hashes["web"]
    docker_client.api.kill(old.id)
    (created,) = await engine.of(environment).create_service(second.model_hash, "web")
    await engine.of(environment).start(created)
    (new,) = await engine.of(environment).containers()
    assert (new.name, new.state) == (old.name, ContainerState.RUNNING)
    docker_client.api.kill(new.id)


async def test_wrong_name_corrected_on_engine(
    engine: Stacks, stack: Callable[..., Environment], docker_client: docker.DockerClient
) -> None:
    environment = stack("services: {web: {image: 'tiny:v1'}}")
    await deploy(engine, environment)
    (web,) = await engine.of(environment).containers()
    docker_client.api.rename(web.id, f"0123456789ab_{web.name}")
    (action,) = await engine.of(environment).sweep()
    assert action == f"gave 0123456789ab_{web.name} its name {web.name} back"
    (web_again,) = await engine.of(environment).containers()
    assert (web_again.id, web_again.name) == (web.id, web.name)
