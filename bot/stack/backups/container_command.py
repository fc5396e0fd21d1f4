"""Run a command in a container, with what it reads from and writes to streams of this process."""

from collections.abc import Sequence

from roas.concurrency import pause
from roas.errors import BackupError
from roas.messages.message import said
from roas.stack.backups.streams import Sink, Source, Streams, dropped, exchange
from roas.stack.client import Engine
from roas.stack.docker_client import EngineClient

POLL_SECONDS = 0.05


async def run_in_container(
    engine: Engine,
    container_id: str,
    command: Sequence[str],
    *,
    sink: Sink = dropped,
    source: Source | None = None,
) -> None:
    """Run a command to its end: `source` is what it reads, and `sink` is given what it writes.

    Raises BackupError where it ends with another code than 0 or does not read all, EngineUnavailableError.
    """
    exec_id, streams = await engine.act(lambda client: _start(client, container_id, command, reads=source is not None))
    try:
        exchanged = await exchange(engine, streams, sink=sink, source=source)
        exchanged.require_success(await _exit_code(engine, exec_id))
    finally:
        streams.close()
    if not exchanged.has_all:
        raise BackupError(said("the command ended before it had read all of it"), report=exchanged.report)


def _start(client: EngineClient, container_id: str, command: Sequence[str], *, reads: bool) -> tuple[str, Streams]:
    exec_id = client.exec_create(container_id, list(command), stdin=reads)["Id"]
    return exec_id, Streams.of(client.exec_start(exec_id, socket=True))


async def _exit_code(engine: Engine, exec_id: str) -> int | None:
    """Return the exit code; the engine may learn of the end a moment after the output has ended."""
    while True:
        told = await engine.call(lambda client: client.exec_inspect(exec_id))
        if not told["Running"]:
            code = told["ExitCode"]
            return None if code is None else int(code)
        await pause(POLL_SECONDS)


async def wait_until_none_runs(engine: Engine, container_id: str, command: Sequence[str]) -> None:
    """Wait until no earlier run of a command, of a process of ours that has died, goes on in a container."""
    wanted = list(command)

    def runs(client: EngineClient) -> bool:
        known = client.inspect_container(container_id).get("ExecIDs") or ()
        running = (told for exec_id in known if (told := client.exec_inspect(exec_id))["Running"])
        configs = (told["ProcessConfig"] for told in running)
        return any([config["entrypoint"], *config["arguments"]] == wanted for config in configs)

    while await engine.call(runs):
        await pause(POLL_SECONDS)
