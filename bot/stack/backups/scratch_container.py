"""Let a command read a backup in a container of its own, which has nothing of the stack's and is gone afterwards."""

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from docker.types import LogConfig

from roas.concurrency import pause
from roas.limits import LONGEST_DATA_TIMEOUT_SECONDS
from roas.stack.backups.streams import Source, Streams, exchange
from roas.stack.docker.engine import Engine
from roas.stack.docker.helper_containers import remove_helper, remove_left_helpers
from roas.stack.docker.sdk import EngineClient

NAME, LABEL = "roas-backup-check", "roas.backup-check"
MEMORY_BYTES = 1024**3
MOST_PROCESSES = 512
ONE_PROCESSOR = 10**9
POLL_SECONDS = 0.05
# What a process that died left behind is older: none may take as long.
LEFT_SECONDS = LONGEST_DATA_TIMEOUT_SECONDS + 60.0
# Whoever asks beside others; no project has that name.
ANYBODY = "-"


async def run_in_scratch(
    engine: Engine, image_id: str, command: Sequence[str], source: Source, owner: str = ANYBODY
) -> None:
    """Run a command to its end in a new container of an image; `source` is what it reads.

    The container has no network, no volume and no variable of the service. The command need not read all. The `owner`
    is the project whose lock is held, if any: see `remove_scratch_of`. Raises BackupError where it ends with another
    code than 0, EngineError, EngineUnavailableError.
    """
    async with _container(engine, image_id, command, owner) as container_id:
        streams = await engine.act(lambda client: _start(client, container_id))
        try:
            exchanged = await exchange(engine, streams, lambda: _has_ended(engine, container_id), source=source)
            exchanged.require_success(await _exit_code(engine, container_id))
        finally:
            streams.close()


async def remove_scratch_of(engine: Engine, owner: str) -> None:
    """Remove what processes that died have left of a project whose lock is held."""
    await engine.act(lambda client: remove_left_helpers(client, f"{LABEL}={owner}", NAME, None))


@asynccontextmanager
async def _container(engine: Engine, image_id: str, command: Sequence[str], owner: str) -> AsyncIterator[str]:
    await engine.act(lambda client: remove_left_helpers(client, LABEL, NAME, LEFT_SECONDS))
    container_id = await engine.act(lambda client: _create(client, image_id, command, owner))
    try:
        yield container_id
    finally:
        await engine.act(lambda client: remove_helper(client, container_id))


def _create(client: EngineClient, image_id: str, command: Sequence[str], owner: str) -> str:
    created = client.create_container(
        image_id,
        entrypoint=list(command[:1]),
        command=list(command[1:]),
        stdin_open=True,
        name=f"{NAME}-{secrets.token_hex(6)}",
        labels={LABEL: owner},
        host_config=_confinement(client),
    )
    return str(created["Id"])


def _confinement(client: EngineClient) -> Any:
    return client.create_host_config(
        network_mode="none",
        security_opt=["no-new-privileges"],
        mem_limit=MEMORY_BYTES,
        memswap_limit=MEMORY_BYTES,
        pids_limit=MOST_PROCESSES,
        nano_cpus=ONE_PROCESSOR,
        ipc_mode="private",
        # Nothing of the data is left in a file of the engine's.
        log_config=LogConfig(type=LogConfig.types.NONE),
    )


def _start(client: EngineClient, container_id: str) -> Streams:
    """Attach first, so that nothing it says is missed, then start."""
    wanted = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
    streams = Streams.of(client.attach_socket(container_id, params=wanted))
    try:
        client.start(container_id)
    except BaseException:
        streams.close()
        raise
    return streams


async def _has_ended(engine: Engine, container_id: str) -> bool:
    return not (await engine.call(lambda client: client.inspect_container(container_id)))["State"]["Running"]


async def _exit_code(engine: Engine, container_id: str) -> int:
    """Return the exit code; a command may go on after it has closed its output."""
    while True:
        state = (await engine.call(lambda client: client.inspect_container(container_id)))["State"]
        if not state["Running"]:
            return int(state["ExitCode"])
        await pause(POLL_SECONDS)
