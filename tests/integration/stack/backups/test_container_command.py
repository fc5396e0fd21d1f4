"""A command that an earlier process, or an earlier engine, has begun in a container is waited for."""

from collections.abc import Callable

import docker
import pytest

from roas.models.environment import Environment
from roas.stack.backups.container_command import wait_until_none_runs
from roas.stack.stacks import Stacks
from tests.integration.stack.applying import deploy

COMPOSE = "services: {store: {image: tiny:v1, network_mode: none}}"
# Lines, and what a shell makes of them, are shown by `ps` in its own way.
COMMAND = ("sh", "-c", "sleep 2\n\techo 'is it \u00fcber?' >/tmp/done")


@pytest.mark.parametrize("known", [True, False], ids=["known to the engine", "left by an engine that died"])
async def test_earlier_run_of_a_command_is_waited_for(
    engine: Stacks, stack: Callable[..., Environment], docker_client: docker.DockerClient, known: bool
) -> None:
    environment = stack(COMPOSE)
    await deploy(engine, environment)
    (found,) = await engine.of(environment).containers()
    container = docker_client.containers.get(found.id)
    # What is begun by another command, which has ended, is no command of the engine's.
    begun = list(COMMAND) if known else ["sh", "-c", '"$@" <&- >/dev/null 2>&1 &', "sh", *COMMAND]
    container.exec_run(begun, detach=known)
    assert container.exec_run(["test", "-e", "/tmp/done"]).exit_code == 1
    await wait_until_none_runs(engine.of(environment).data._engine, found.id, COMMAND)
    assert container.exec_run(["test", "-e", "/tmp/done"]).exit_code == 0
    await wait_until_none_runs(engine.of(environment).data._engine, found.id, COMMAND)
