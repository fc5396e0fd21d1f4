"""A command that is killed while it reads, or has stopped to read, ends the restore soon."""

import asyncio
import io

import pytest

from roas.errors import BackupError
from roas.stack.backups.container_command import run_in_container
from testbed.waiting import wait_until

pytestmark = pytest.mark.engine

BYTES = 64 << 20


@pytest.mark.parametrize("command", ["sleep 1000", "cat >/dev/null; sleep 1000"])
async def test_container_that_is_killed_ends_what_is_written_to_it(engine, stack, docker_client, command):
    environment = stack("services: {}")
    container = docker_client.containers.run(
        "tiny:v1", detach=True, init=True, labels={"com.docker.compose.project": environment.project}
    )
    asking = engine.of(environment).engine
    running = asyncio.create_task(
        run_in_container(asking, container.id, ["sh", "-c", command], source=io.BytesIO(bytes(BYTES)))
    )
    async with asyncio.timeout(30):
        await asyncio.to_thread(wait_until, lambda: "sleep 1000" in str(container.top()), 20)
        await asyncio.to_thread(container.kill)
        with pytest.raises(BackupError):
            await running
