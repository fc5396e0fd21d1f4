"""Let a command look at an engine from one moment on, and change something from another one on.

Compose takes a while until it asks for the first container: it starts, asks the engine what there is, and reads the
model. All of that may be over when the intents are in the journal. So it is given a socket of our own. What only reads
waits until that is let through; whatever else is asked waits until the gate is opened. Both get nowhere when it is
closed instead.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import cast

from roas.errors import EngineError
from roas.log import get_logger
from roas.temporary import temporary_folder

log = get_logger(__name__)

# What begins with these changes nothing; whatever else does, or is not told yet to the end of its head, waits.
READING = (b"GET ", b"HEAD ")
END_OF_HEAD = b"\r\n\r\n"
# Of what waits no more is read for the moment than about this.
MOST_HELD = 1 << 16
# The kernel takes no longer path of a socket, with its end.
LONGEST_PATH = 107
NAME = "docker.sock"


class EngineGate:
    """Pass what is said by a socket of our own on to an engine's."""

    def __init__(self, path: Path, engine: str, looked: Callable[[], None]) -> None:
        self.path = path
        self._engine = engine
        self._looked = looked
        self._has_looked = False
        self._lets_read = False
        self._is_open = False
        self._is_closed = False
        self._passages: set[_Passage] = set()
        self._connecting: set[asyncio.Task[None]] = set()

    def let_read(self) -> None:
        """Let pass from now on, and first of what waits, what only reads."""
        self._lets_read = True
        self._go_on()

    def open(self) -> None:
        """Let everything pass from now on, and first what waits."""
        self._is_open = True
        self._go_on()

    def enter(self) -> "_Passage":
        """Take up a connection of the command."""
        passage = _Passage(self)
        self._passages.add(passage)
        return passage

    def connect(self, passage: "_Passage") -> None:
        """Connect to the engine for a connection of the command."""
        if self._is_closed:  # it was accepted when it was too late
            passage.end()
            return
        task = asyncio.create_task(self._connect(passage), name="connection through a gate")
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def leave(self, passage: "_Passage") -> None:
        """Forget a connection that has ended."""
        self._passages.discard(passage)

    def passes(self, head: bytes) -> bool:
        """Return whether a request with this head may go on to the engine now."""
        return self._is_open or (self._lets_read and head.startswith(READING))

    def hold(self) -> None:
        """Tell, once, that a request waits although what only reads need not."""
        if self._lets_read and not self._has_looked:
            self._has_looked = True
            self._looked()

    @property
    def is_open(self) -> bool:
        """Return whether all that is said is passed on as it comes."""
        return self._is_open

    def close(self) -> None:
        """End every connection."""
        self._is_closed = True
        for task in tuple(self._connecting):
            task.cancel()
        for passage in tuple(self._passages):
            passage.end()

    def _go_on(self) -> None:
        for passage in tuple(self._passages):
            passage.go_on()

    async def _connect(self, passage: "_Passage") -> None:
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: _Answers(passage), self._engine)
        except OSError as error:
            log.warning("the engine could not be reached through a gate", error=str(error))
            passage.end()


class _Passage(asyncio.Protocol):
    """Hold one connection of the command: until the gate is open, one request after the answer to the one before.

    Only heads of requests are passed on until then: what follows one, a body or another protocol, waits. A command that
    says that it will say no more has gone: what it waited with gets nowhere.
    """

    def __init__(self, gate: EngineGate) -> None:
        self._gate = gate
        self._command: asyncio.Transport | None = None
        self._engine: asyncio.Transport | None = None
        self._held = bytearray()
        self._awaits_answer = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._command = cast("asyncio.Transport", transport)  # of a stream protocol it always is
        self._gate.connect(self)

    def data_received(self, data: bytes) -> None:
        self._held += data
        self.go_on()
        if len(self._held) > MOST_HELD and self._command is not None:
            self._command.pause_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self._gate.leave(self)
        if self._engine is not None:
            self._engine.close()

    def pause_writing(self) -> None:
        """Let the engine wait for a command that does not read its answers."""
        if self._engine is not None:
            self._engine.pause_reading()

    def resume_writing(self) -> None:
        """Let the engine go on."""
        if self._engine is not None:
            self._engine.resume_reading()

    def reached(self, engine: asyncio.Transport) -> None:
        """Go on with what was said until the engine was reached."""
        self._engine = engine
        if self._command is None or self._command.is_closing():
            engine.close()
            return
        self.go_on()

    def go_on(self) -> None:
        """Pass on what waits, where it may go on."""
        if not self._held or self._engine is None:
            return
        if self._gate.is_open:
            self._pass(self._engine, len(self._held))
            return
        end = self._held.find(END_OF_HEAD)
        if end < 0 or self._awaits_answer:
            return
        if self._gate.passes(bytes(self._held[:end])):
            self._awaits_answer = True
            self._pass(self._engine, end + len(END_OF_HEAD))
        else:
            self._gate.hold()

    def answered(self, data: bytes) -> None:
        """Pass an answer of the engine back: what the command says next is another request."""
        self._awaits_answer = False
        if self._command is not None:
            self._command.write(data)
        self.go_on()

    def listen(self, *, wanted: bool) -> None:
        """Read what the command says, or not, as the engine takes it."""
        if self._command is not None:
            self._command.resume_reading() if wanted else self._command.pause_reading()

    def end(self) -> None:
        """End both sides."""
        for one in (self._command, self._engine):
            if one is not None:
                one.close()

    def _pass(self, engine: asyncio.Transport, length: int) -> None:
        data = bytes(self._held[:length])
        del self._held[:length]
        if len(self._held) <= MOST_HELD:
            self.listen(wanted=True)
        engine.write(data)


class _Answers(asyncio.Protocol):
    """Hold the engine's side of a connection."""

    def __init__(self, passage: _Passage) -> None:
        self._passage = passage

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._passage.reached(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        self._passage.answered(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._passage.end()

    def pause_writing(self) -> None:
        """Let the command wait for an engine that does not read what it says."""
        self._passage.listen(wanted=False)

    def resume_writing(self) -> None:
        """Let the command go on."""
        self._passage.listen(wanted=True)


@asynccontextmanager
async def engine_gate(engine: str, looked: Callable[[], None] = lambda: None) -> AsyncIterator[EngineGate | None]:
    """Listen, within the block, on a socket that leads to an engine's; None where this machine has no place for it.

    A command has `looked` when its first request that would change something waits.
    """
    async with AsyncExitStack() as stack:
        try:
            folder = stack.enter_context(temporary_folder("gate"))  # for nobody else to enter
            gate = EngineGate(folder / NAME, engine, looked)
            fits = len(os.fsencode(gate.path)) <= LONGEST_PATH
            server = await asyncio.get_running_loop().create_unix_server(gate.enter, gate.path) if fits else None
        except (OSError, EngineError) as error:
            log.warning("no gate before the engine", error=str(error))
            server = None
        if server is None:
            yield None
            return
        try:
            yield gate
        finally:
            server.close()
            gate.close()
