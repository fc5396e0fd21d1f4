"""Connect this process with a command in a container: what it reads, what it writes, what it says of its fault."""

import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any, Protocol

from roas.concurrency import begun, in_thread, pause, run_concurrently
from roas.errors import BackupError, EngineError
from roas.messages.message import said
from roas.stack.docker.engine import Engine, typed_faults

# Of each piece of output: which stream it is of, three bytes without meaning, and its length.
HEADER = struct.Struct(">BxxxL")
STDERR = 2
CHUNK_BYTES = 256 * 1024
# How many of the last lines of what it says of its fault people see.
LINES_SHOWN, LONGEST_LINE = 20, 1000
END_POLL_SECONDS = 1.0
Sink = Callable[[bytes], object]
HasEnded = Callable[[], Awaitable[bool]]


class Source(Protocol):
    """Be read by a command."""

    def read(self, size: int, /) -> bytes:
        """Return more; nothing at the end."""


class Target(Protocol):
    """Take what a command writes, and know how much that was."""

    size: int

    def write(self, chunk: bytes, /) -> object:
        """Take more."""


def dropped(_chunk: bytes) -> None:
    """Take what a command writes and nobody wants."""


@dataclass(slots=True)
class Streams:
    """Hold what leads to a command that runs."""

    response: Any
    writer: Any

    @classmethod
    def of(cls, found: Any) -> "Streams":
        """Return the streams behind the socket that the SDK gives."""
        connection = getattr(found, "_sock", found)
        connection.settimeout(None)
        return cls(found._response, connection)

    def hang_up(self) -> None:
        """End what is written: whoever writes in a thread stops."""
        with suppress(OSError):
            self.writer.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End both directions: whoever reads or writes in a thread stops."""
        with suppress(OSError):
            self.writer.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            self.response.close()


@dataclass(frozen=True, slots=True)
class Exchange:
    """Say whether a command took all that it was to read, and what it said last on its standard error."""

    has_all: bool
    report: str

    def require_success(self, code: int | None) -> None:
        """Raise BackupError where the command ended with another exit code than 0."""
        if code != 0:
            raise BackupError(said("the command ended with code {code}", code=code), report=self.report)


async def exchange(
    engine: Engine, streams: Streams, has_ended: HasEnded, *, sink: Sink = dropped, source: Source | None
) -> Exchange:
    """Give a command what it reads, and take what it writes to its end. Raises EngineUnavailableError.

    Of one that was killed the engine takes what is meant for it, until nothing more fits, and says nothing.
    """
    said_of_it: deque[str] = deque(maxlen=LINES_SHOWN)
    work = [in_thread(_read, engine.address, streams, sink, said_of_it)]
    if source is not None:
        work.append(in_thread(_write, engine.address, streams, source))
    async with begun(_hang_up_at_its_end(streams, has_ended)):
        has_all = all(await run_concurrently(work))
    return Exchange(has_all, "\n".join(said_of_it))


async def _hang_up_at_its_end(streams: Streams, has_ended: HasEnded) -> None:
    """Write nothing more to a command that has ended; what it has written is still read."""
    ended = False
    while not ended:
        await pause(END_POLL_SECONDS)
        with suppress(EngineError):
            ended = await has_ended()
    streams.hang_up()


def _read(address: str, streams: Streams, sink: Sink, said_of_it: deque[str]) -> bool:
    """Read both outputs to their end."""
    # What came with the answer's head is in the buffer of the response, and nowhere else.
    reader: IO[bytes] = streams.response.raw._fp.fp
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
                    said_of_it.extend(line[:LONGEST_LINE] for line in chunk.decode(errors="replace").splitlines())
                else:
                    sink(chunk)
    return True


def _write(address: str, streams: Streams, source: Source) -> bool:
    """Give it all that it is to read, then the end of that; returns whether it took all."""
    with typed_faults(address):
        try:
            while chunk := source.read(CHUNK_BYTES):
                streams.writer.sendall(chunk)
            streams.writer.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            return False
    return True
