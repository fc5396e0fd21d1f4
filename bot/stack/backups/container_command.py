"""Run a command in a container, with what it reads from and writes to streams of this process."""

import re
from collections.abc import Sequence
from contextlib import suppress

from roas.concurrency import pause
from roas.errors import BackupError
from roas.messages.message import said
from roas.stack.backups.streams import Sink, Source, Streams, dropped, exchange
from roas.stack.docker.api_errors import ApiError
from roas.stack.docker.engine import Engine
from roas.stack.docker.sdk import EngineClient

POLL_SECONDS = 0.05
UNPRINTABLE = re.compile(r"[^\x21-\x3e\x40-\x7e]+")  # and the question mark that stands for it


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
        exchanged = await exchange(engine, streams, lambda: _has_ended(engine, exec_id), sink=sink, source=source)
        exchanged.require_success(await _exit_code(engine, exec_id))
    finally:
        streams.close()
    if not exchanged.has_all:
        raise BackupError(said("the command ended before it had read all of it"), report=exchanged.report)


def _start(client: EngineClient, container_id: str, command: Sequence[str], *, reads: bool) -> tuple[str, Streams]:
    exec_id = client.exec_create(container_id, list(command), stdin=reads)["Id"]
    return exec_id, Streams.of(client.exec_start(exec_id, socket=True))


async def _has_ended(engine: Engine, exec_id: str) -> bool:
    """Return whether it has ended; one that the engine has yet to start does not run either, and has no exit code."""
    told = await engine.call(lambda client: client.exec_inspect(exec_id))
    return not told["Running"] and told["ExitCode"] is not None


async def _exit_code(engine: Engine, exec_id: str) -> int | None:
    """Return the exit code; the engine may learn of the end a moment after the output has ended."""
    while True:
        told = await engine.call(lambda client: client.exec_inspect(exec_id))
        if not told["Running"]:
            code = told["ExitCode"]
            return None if code is None else int(code)
        await pause(POLL_SECONDS)


async def wait_until_none_runs(engine: Engine, container_id: str, command: Sequence[str]) -> None:
    """Wait until no earlier run of a command goes on in a container, after a process of ours, or the engine, died.

    An engine that containers outlive knows no more of what it ran in them: their processes are looked at, too.
    """
    wanted = list(command)

    def runs(client: EngineClient) -> bool:
        inspected = client.inspect_container(container_id)
        known = inspected.get("ExecIDs") or ()
        running = (told for exec_id in known if (told := client.exec_inspect(exec_id))["Running"])
        configs = (told["ProcessConfig"] for told in running)
        if any([config["entrypoint"], *config["arguments"]] == wanted for config in configs):
            return True
        return _as_shown(" ".join(wanted)) in _processes(client, container_id, str(inspected["State"]["Pid"]))

    while await engine.call(runs):
        await pause(POLL_SECONDS)


def _processes(client: EngineClient, container_id: str, own: str) -> set[str]:
    """Return the commands of a container's processes but its `own` one; none where the engine's machine has no `ps`."""
    with suppress(ApiError):
        listed = client.top(container_id, ps_args="-eopid,args").get("Processes") or ()
        return {_as_shown(str(fields[-1])) for fields in listed if fields[0].strip() != own}
    return set()


def _as_shown(command: str) -> str:
    """Return a command as `ps` shows it, whatever that makes of what cannot be printed."""
    return UNPRINTABLE.sub(" ", command).strip()
