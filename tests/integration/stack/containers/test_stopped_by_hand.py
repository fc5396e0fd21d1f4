"""A container that ends while it is waited for: whether somebody stopped it is what Docker's own events show."""

import asyncio
import subprocess
from collections.abc import Callable

import docker
import pytest

from roas.errors import ServiceFailedError
from roas.models.environment import Environment
from roas.models.health import ContainerState, HealthStatus
from roas.stack.containers.readiness import wait_until_ready
from roas.stack.containers.watch import ContainerWatch
from roas.stack.stacks import Stacks
from testbed.engine import manual_environment
from tests.integration.stack.applying import draft

NEVER_HEALTHY = """
services:
  web:
    image: tiny:v1
    command: ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
    healthcheck: {test: ["CMD", "false"], interval: 1s, start_period: 60s}
"""


@pytest.mark.parametrize(
    ("act", "reason", "advice"),
    [
        (("stop",), "somebody else stopped it", "Find out who did that"),
        (("exec", "kill", "-TERM", "1"), "it ended with code 0", "correct the release"),
    ],
)
async def test_stop_by_hand_is_told_from_an_end_of_its_own(
    engine: Stacks,
    stack: Callable[..., Environment],
    docker_client: docker.DockerClient,
    act: tuple[str, ...],
    reason: str,
    advice: str,
) -> None:
    environment = stack(NEVER_HEALTHY)
    drafted = await draft(engine, environment)
    await engine.of(environment).create_missing(drafted.model_hash)
    (made,) = await engine.of(environment).containers()
    definition = engine.definitions(await engine.load_model(drafted.model_hash))["web"]
    async with ContainerWatch(engine.of(environment)) as watch:
        await engine.of(environment).start(made.id)
        await watch.until(lambda there: any(container.started_at for container in there) or None, 60)
        waiting = asyncio.create_task(wait_until_ready(engine.of(environment), definition, watch))
        await asyncio.to_thread(_by_hand, environment, made.id, *act)
        with pytest.raises(ServiceFailedError, match=reason) as raised:
            await asyncio.wait_for(waiting, 60)
    assert advice in raised.value.hint
    assert docker_client.containers.get(made.id).attrs["State"]["ExitCode"] == 0


def _by_hand(environment: Environment, container: str, act: str, *arguments: str) -> None:
    command = ["docker", act, container, *arguments]
    subprocess.run(command, env=manual_environment(environment.docker_host), capture_output=True, check=True)


CHECKED = """
services:
  web:
    image: tiny:v1
    command: ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
    healthcheck: {test: ["CMD", "true"], interval: 60s, start_period: 5s, start_interval: 200ms}
  gone:
    image: tiny:v1
    command: ["sh", "-c", "exit 3"]
    healthcheck: {test: ["CMD", "true"], interval: 60s}
"""


async def test_paused_container_waits_for_its_next_check(
    engine: Stacks, stack: Callable[..., Environment], docker_client: docker.DockerClient
) -> None:
    """Docker calls it unhealthy from the pause on, though no check failed; and so it does of what ended at once."""
    environment = stack(CHECKED)
    drafted = await draft(engine, environment)
    there = engine.of(environment)
    await there.create_missing(drafted.model_hash)
    made = {container.service: container.id for container in await there.containers()}
    async with ContainerWatch(there) as watch:
        for container_id in made.values():
            docker_client.containers.get(container_id).start()
        await watch.until(lambda _: any(c.health is HealthStatus.HEALTHY for c in watch.of_service("web")) or None, 60)
        await watch.until(lambda _: any(c.state is ContainerState.EXITED for c in watch.of_service("gone")) or None, 60)
    for act in ("pause", "unpause"):
        await asyncio.to_thread(_by_hand, environment, made["web"], act)
    assert docker_client.containers.get(made["web"]).attrs["State"]["Health"]["Status"] == "unhealthy"
    found = {container.service: container for container in await there.containers()}
    assert (found["web"].health, found["web"].unchecked) == (HealthStatus.STARTING, False)
    assert (found["gone"].health, found["gone"].unchecked) == (HealthStatus.UNHEALTHY, False)
