"""Let a command look at an engine at once, and change something only from a moment on.

Compose takes a while until it asks for the first container: it starts, asks the engine what there is, and reads the
model. All of that may be over when the intents are in the journal. So it is given a socket of our own. What only reads
passes at once; whatever else is asked waits until the gate is opened, and gets nowhere when it is closed instead.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from roas.log import get_logger

log = get_logger(__name__)

# What begins with these changes nothing; whatever else does, or is not told yet to the end, waits.
READING = (b"GET ", b"HEAD ")
# The kernel takes no longer path of a socket, with its end.
LONGEST_PATH = 107
NAME = "docker.sock"


class EngineGate:
    """Pass what is said by a socket of our own on to an engine's."""

    def __init__(self, path: Path, engine: str) -> None:
        self.path = path
        self._engine = engine
        self._is_open = False
        self._passages: set[_Passage] = set()
        self._connecting: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        """Let everything pass from now on, and first what waits."""
        self._is_open = True
        for passage in tuple(self._passages):
            passage.go_on()

    def enter(self) -> "_Passage":
        """Take up a connection of the command."""
        passage = _Passage(self)
        self._passages.add(passage)
        return passage

    def connect(self, passage: "_Passage") -> None:
        """Connect to the engine for a connection of the command."""
        task = asyncio.create_task(self._connect(passage), name="connection through a gate")
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def leave(self, passage: "_Passage") -> None:
        """Forget a connection that has ended."""
        self._passages.discard(passage)

    def passes(self, request: bytes) -> bool:
        """Return whether a request that begins so may go on to the engine now."""
        return self._is_open or request.startswith(READING)

    def close(self) -> None:
        """End every connection."""
        for task in tuple(self._connecting):
            task.cancel()
        for passage in tuple(self._passages):
            passage.end()

    async def _connect(self, passage: "_Passage") -> None:
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: _Answers(passage), self._engine)
        except OSError as error:
            log.warning("the engine could not be reached through a gate", error=str(error))
            passage.end()


class _Passage(asyncio.Protocol):
    """Hold one connection of the command: one request after the other, each after the answer to the one before."""

    def __init__(self, gate: EngineGate) -> None:
        self._gate = gate
        self._command: asyncio.Transport | None = None
        self._engine: asyncio.Transport | None = None
        self._held = bytearray()
        self._begins = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._command = transport
        self._gate.connect(self)

    def data_received(self, data: bytes) -> None:
        if self._held or self._engine is None or (self._begins and not self._gate.passes(data)):
            self._held += data
            return
        self._begins = False
        self._engine.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._gate.leave(self)
        if self._engine is not None:
            self._engine.close()

    def reached(self, engine: asyncio.Transport) -> None:
        """Go on with what was said until the engine was reached."""
        self._engine = engine
        if self._command is None or self._command.is_closing():
            engine.close()
        self.go_on()

    def go_on(self) -> None:
        """Pass on what waits, where it may go on."""
        if self._held and self._engine is not None and self._gate.passes(bytes(self._held[: len(max(READING))])):
            self._begins = False
            self._engine.write(bytes(self._held))
            self._held.clear()

    def answered(self, data: bytes) -> None:
        """Pass an answer of the engine back: what the command says next is another request."""
        self._begins = True
        if self._command is not None:
            self._command.write(data)

    def end(self) -> None:
        """End both sides."""
        for one in (self._command, self._engine):
            if one is not None:
                one.close()


class _Answers(asyncio.Protocol):
    """Hold the engine's side of a connection."""

    def __init__(self, passage: _Passage) -> None:
        self._passage = passage

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._passage.reached(transport)

    def data_received(self, data: bytes) -> None:
        self._passage.answered(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._passage.end()


@asynccontextmanager
async def engine_gate(engine: str) -> AsyncIterator[EngineGate | None]:
    """Listen, within the block, on a socket that leads to an engine's; None where this machine has no place for it."""
    folder = Path(tempfile.mkdtemp(prefix="roas-gate-"))  # for nobody else to enter
    try:
        gate = EngineGate(folder / NAME, engine)
        if len(os.fsencode(gate.path)) > LONGEST_PATH:
            yield None
            return
        server = await asyncio.get_running_loop().create_unix_server(gate.enter, gate.path)
        try:
            yield gate
        finally:
            server.close()
            gate.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
