"""What only reads passes a gate at once; whatever else is asked waits for it to be opened, or gets nowhere."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from roas.engine.compose.gate import EngineGate, engine_gate

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SECONDS = 10.0


class HeardEngine:
    """Answer each request that ends with a line of its own, and know all that was heard."""

    def __init__(self) -> None:
        self.heard = b""
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while line := await reader.readline():
            self.heard += line
            if line == b"end\n":
                writer.write(ANSWER)
        writer.close()


class Command:
    """Ask by a gate's socket, as Compose does."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def say(self, *parts: bytes) -> None:
        for part in parts:
            self._writer.write(part)

    async def answer(self) -> bytes:
        async with asyncio.timeout(SECONDS):
            return await self._reader.readexactly(len(ANSWER))

    async def ended(self) -> bool:
        async with asyncio.timeout(SECONDS):
            try:
                return await self._reader.read() == b""
            except ConnectionResetError:
                return True

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[HeardEngine]:
    engine = HeardEngine()
    server = await asyncio.start_unix_server(engine.serve, tmp_path / "engine.sock")
    yield engine
    server.close()


@pytest.fixture
async def gate(engine: HeardEngine, tmp_path: Path) -> AsyncIterator[EngineGate]:
    async with engine_gate(str(tmp_path / "engine.sock")) as gate:
        assert gate is not None
        yield gate


async def connect(gate: EngineGate) -> Command:
    return Command(*await asyncio.open_unix_connection(gate.path))


async def reads_after(command: Command) -> None:
    """Read so often that all that was said before has been heard: the same loop carries it."""
    for _ in range(3):
        command.say(b"GET /info\nend\n")
        assert await command.answer() == ANSWER


async def test_reading_passes_at_once(gate: EngineGate, engine: HeardEngine) -> None:
    command = await connect(gate)
    for request in (b"GET /info\nend\n", b"HEAD /_ping\nend\n"):
        command.say(request)
        assert await command.answer() == ANSWER
    assert engine.heard == b"GET /info\nend\nHEAD /_ping\nend\n"
    command.close()


@pytest.mark.parametrize("request_", [b"POST /create\nbody\nend\n", b"PUT /x\nend\n", b"DELETE /x\nend\n", b"GE"])
async def test_changes_wait_until_it_is_opened(gate: EngineGate, engine: HeardEngine, request_: bytes) -> None:
    changing, reading = await connect(gate), await connect(gate)
    changing.say(b"GET /containers\nend\n")
    assert await changing.answer() == ANSWER
    changing.say(request_, b"more\nend\n")
    await reads_after(reading)
    assert request_ + b"more" not in engine.heard
    gate.open()
    assert await changing.answer() == ANSWER
    assert request_ + b"more" in engine.heard
    assert engine.heard.endswith(b"more\nend\n")
    changing.say(b"POST /another\nend\n")
    assert await changing.answer() == ANSWER, "nothing waits any more"
    changing.close()
    reading.close()


async def test_what_waits_gets_nowhere_when_it_is_closed(engine: HeardEngine, tmp_path: Path) -> None:
    async with engine_gate(str(tmp_path / "engine.sock")) as gate:
        assert gate is not None
        folder = gate.path.parent
        assert folder.stat().st_mode & 0o777 == 0o700, "nobody else reaches the engine by it"
        command = await connect(gate)
        command.say(b"GET /info\nend\n")
        assert await command.answer() == ANSWER
        command.say(b"POST /create\nend\n")
        reading = await connect(gate)
        await reads_after(reading)
    assert await command.ended()
    assert b"POST" not in engine.heard
    assert not folder.exists()
    command.close()


async def test_an_engine_that_is_away_ends_the_connection(tmp_path: Path) -> None:
    async with engine_gate(str(tmp_path / "nobody.sock")) as gate:
        assert gate is not None
        command = await connect(gate)
        command.say(b"GET /info\nend\n")
        assert await command.ended()
        command.close()


async def test_a_command_that_leaves_leaves_the_engine(gate: EngineGate, engine: HeardEngine) -> None:
    command = await connect(gate)
    command.say(b"GET /info\nend\n")
    assert await command.answer() == ANSWER
    command.close()
    again = await connect(gate)
    again.say(b"GET /info\nend\n")
    assert await again.answer() == ANSWER
    assert engine.connections == 2
    again.close()


async def test_no_gate_where_its_path_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    async with engine_gate("/engine.sock") as gate:
        assert gate is None
    assert not [*folder.iterdir()]
