"""Run a command in a container, with what it reads from and writes to streams of this process."""

import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

from roas.concurrency import in_thread, pause, run_concurrently
from roas.errors import BackupError
from roas.messages.message import said
from roas.stack.client import Engine, typed_faults
from roas.stack.docker_client import EngineClient

# Of each piece of output: which stream it is of, three bytes without meaning, and its length.
HEADER = struct.Struct(">BxxxL")
STDERR = 2
CHUNK_BYTES = 256 * 1024
# How many of the last lines of what it says of its fault people see.
LINES_SHOWN = 20
POLL_SECONDS = 0.05
Sink = Callable[[bytes], object]


@dataclass(slots=True)
class _Connection:
    """Hold what leads to a command that runs."""

    exec_id: str
    response: Any
    writer: Any

    def close(self) -> None:
        """End both directions: whoever reads or writes in a thread stops."""
        with suppress(OSError):
            self.writer.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            self.response.close()


async def run_in_container(
    engine: Engine,
    container_id: str,
    command: Sequence[str],
    *,
    sink: Sink = lambda _chunk: None,
    source: IO[bytes] | None = None,
) -> None:
    """Run a command to its end: `source` is what it reads, and `sink` is given what it writes.

    Raises BackupError where it ends with another code than 0 or does not read all, EngineUnavailableError.
    """
    connection = await engine.act(lambda client: _start(client, container_id, command, reads=source is not None))
    said_of_it: deque[str] = deque(maxlen=LINES_SHOWN)
    work = [in_thread(_read, engine.address, connection, sink, said_of_it)]
    if source is not None:
        work.append(in_thread(_write, engine.address, connection, source))
    try:
        has_all = all(await run_concurrently(work))
        code = await _exit_code(engine, connection.exec_id)
    finally:
        connection.close()
    if code != 0:
        raise BackupError(said("the command ended with code {code}", code=code), report="\n".join(said_of_it))
    if not has_all:
        raise BackupError(said("the command ended before it had read all of it"), report="\n".join(said_of_it))


def _start(client: EngineClient, container_id: str, command: Sequence[str], *, reads: bool) -> _Connection:
    exec_id = client.exec_create(container_id, list(command), stdin=reads)["Id"]
    found: Any = client.exec_start(exec_id, socket=True)
    connection = getattr(found, "_sock", found)
    connection.settimeout(None)
    return _Connection(exec_id, found._response, connection)


def _read(address: str, connection: _Connection, sink: Sink, said_of_it: deque[str]) -> bool:
    """Read both outputs to their end."""
    # What came with the answer's head is in the buffer of the response, and nowhere else.
    reader: IO[bytes] = connection.response.raw._fp.fp
    with typed_faults(address):
        while head := reader.read(HEADER.size):
            if len(head) < HEADER.size:
                raise ConnectionResetError
            stream, length = HEADER.unpack(head)
            while length:
                chunk = reader.read(min(length, CHUNK_BYTES))
                if not chunk:
                    raise ConnectionResetError
                length -= len(chunk)
                if stream == STDERR:
                    said_of_it.extend(chunk.decode(errors="replace").splitlines())
                else:
                    sink(chunk)
    return True


def _write(address: str, connection: _Connection, source: IO[bytes]) -> bool:
    """Give it all that it is to read, then the end of that; returns whether it took all."""
    with typed_faults(address):
        try:
            while chunk := source.read(CHUNK_BYTES):
                connection.writer.sendall(chunk)
            connection.writer.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            return False
    return True


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
