"""On a real engine, what is remembered of a container is what asking about it tells, in whatever network it is."""

import os
import signal
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from roas.engine.client import EngineClients
from roas.engine.containers.seen_containers import SeenContainers
from roas.engine.containers.snapshots import take_snapshots
from roas.engine.labels import NUMBER, ONE_OFF, PROJECT, SERVICE
from roas.models.environment import Environment
from testbed.waiting import wait_until

WAIT_SECONDS = 30.0


@pytest.fixture
def environment(docker_host: str) -> Environment:
    return Environment("dev", f"seen-{uuid.uuid4().hex[:8]}", Path(), (), docker_host=docker_host)


@pytest.fixture
def network(docker_client: docker.DockerClient, environment: Environment) -> Iterator[str]:
    made = docker_client.networks.create(environment.project)
    yield environment.project
    made.remove()


@pytest.fixture
def containers(
    docker_client: docker.DockerClient, sample_image: Callable[..., str], environment: Environment, network: str
) -> Iterator[list[Container]]:
    """Run a service in each kind of network, all of which are started again when they end."""
    image, started = sample_image("seen:v1"), []
    for mode in ("bridge", "none", "host", network, "container"):
        labels = {PROJECT: environment.project, SERVICE: mode, NUMBER: "1", ONE_OFF: "False"}
        shared = f"container:{started[0].id}" if mode == "container" else mode
        options = {"network_mode": shared, "restart_policy": {"Name": "always"}, "environment": {"PORT": "0"}}
        started.append(docker_client.containers.run(image, detach=True, labels=labels, **options))
    yield started
    for container in reversed(started):
        container.remove(force=True)


async def test_start_between_two_looks_is_seen(environment: Environment, containers: list[Container]) -> None:
    clients = EngineClients()
    seen = SeenContainers(clients)

    async def facts(*, remembered: bool, moving: tuple[str, ...] = ()) -> list[object]:
        look = await (seen.look(environment, moving) if remembered else take_snapshots(clients, environment))
        return [(one.service, one.state, one.health, one.started_at, one.restart_count) for one in look]

    try:
        for act in (_end_process, partial(Container.restart, timeout=0), _end_process, Container.pause):
            assert await facts(remembered=True) == await facts(remembered=False)
            await facts(remembered=True, moving=("bridge", "none"))
            for container in containers:
                act(container)
            told, asked = await facts(remembered=True), await facts(remembered=False)
            assert told == asked, act
    finally:
        await clients.close()


def _end_process(container: Container) -> None:
    """End it from outside of the engine, and wait until it runs again."""
    container.reload()
    before = container.attrs["State"]
    os.kill(before["Pid"], signal.SIGKILL)

    def runs_again() -> bool:
        container.reload()
        now = container.attrs["State"]
        return bool(now["Running"] and now["Pid"] and now["StartedAt"] != before["StartedAt"])

    assert wait_until(runs_again, WAIT_SECONDS)
