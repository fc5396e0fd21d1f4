"""Stacks in folders of their own, on the session's engine, gone after each test."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from roas.models.environment import Environment, PolicyLevel
from roas.stack.compose import runner
from roas.stack.stacks import Stacks
from testbed.busybox import busybox
from testbed.daemon import CALM_COLLECTOR
from testbed.images import import_image
from testbed.rootfs import Rootfs
from tests.integration.stack.open_stacks import open_stacks

SLEEPER = '["sh", "-c", "trap \'exit 0\' TERM; while :; do sleep 1 & wait $!; done"]'


@pytest.fixture(scope="module", autouse=True)
def _calm_collector() -> Iterator[None]:
    """Have Compose, which lives for a moment, look for garbage as rarely as the engine does here."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in CALM_COLLECTOR.items():
            patched.setenv(name, value)
        patched.setattr(runner, "INHERITED_VARIABLES", (*runner.INHERITED_VARIABLES, *CALM_COLLECTOR))
        yield


@pytest.fixture(scope="session")
def busybox_image(docker_client: docker.DockerClient) -> str:
    """An image of a static busybox that waits to be stopped."""
    root = Rootfs()
    root.add_busybox(busybox(docker_client))
    import_image(docker_client, root.tar(), "tiny:v1", CMD=SLEEPER, ENV="PATH=/bin", LABEL="tiny=1")
    root.add("version", "v2")
    import_image(docker_client, root.tar(), "tiny:v2", CMD=SLEEPER, ENV="PATH=/bin", LABEL="tiny=2")
    return "tiny:v1"


@pytest.fixture
def environment(tmp_path: Path, docker_host: str, docker_client: docker.DockerClient) -> Iterator[Environment]:
    """An environment in an empty folder; whatever its project leaves on the engine is removed."""
    folder = tmp_path / "stack"
    folder.mkdir()
    project = f"t{secrets.token_hex(4)}"
    yield Environment(
        name="dev",
        project=project,
        folder=folder,
        compose_files=(folder / "docker-compose.yml",),
        docker_host=docker_host,
        policy=PolicyLevel.DEFAULT,
    )
    own = {"label": f"com.docker.compose.project={project}"}
    for container in docker_client.containers.list(all=True, ignore_removed=True, filters=own):
        with contextlib.suppress(docker.errors.APIError):
            container.remove(force=True, v=True)
    for network in docker_client.networks.list(filters=own):
        network.remove()
    for volume in docker_client.volumes.list(filters=own):
        volume.remove(force=True)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Stacks]:
    """The engine under test, with a state folder of its own."""
    async with open_stacks(tmp_path / "state") as made:
        yield made


@pytest.fixture
def stack(environment: Environment, busybox_image: str) -> Callable[..., Environment]:
    """Write a compose file (and env file) and return the environment that it makes."""

    def write(compose: str, *, env: str | None = None) -> Environment:
        environment.compose_files[0].write_text(compose)
        if env is None:
            return environment
        path = environment.folder / ".env"
        path.write_text(env)
        return replace(environment, env_files=(path,))

    return write
