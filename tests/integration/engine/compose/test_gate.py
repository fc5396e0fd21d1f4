"""What only reads passes a gate once it may; whatever else is asked waits for it to be opened, or gets nowhere."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from roas.engine.compose import gate as gates
from roas.engine.compose.gate import MOST_HELD, EngineGate, engine_gate
from tests.integration.engine.compose.heard_engine import ANSWER, Command, HeardEngine, request

SECONDS = 10.0
GET, HEAD, POST = request("GET /info"), request("HEAD /_ping"), request("POST /create", b"body")


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[HeardEngine]:
    engine = HeardEngine()
    server = await asyncio.start_unix_server(engine.serve, tmp_path / "engine.sock")
    yield engine
    server.close()
    engine.close()


@pytest.fixture
async def gate(engine: HeardEngine, tmp_path: Path) -> AsyncIterator[EngineGate]:
    async with engine_gate(str(tmp_path / "engine.sock")) as gate:
        assert gate is not None
        gate.let_read()
        yield gate


async def connect(gate: EngineGate) -> Command:
    return Command(*await asyncio.open_unix_connection(gate.path))


async def reads_after(gate: EngineGate) -> None:
    """Read so often that all that was said before has been heard: the same loop carries it."""
    command = await connect(gate)
    for _ in range(3):
        command.say(GET)
        assert await command.answer() == ANSWER
    command.close()


async def ask_beside(folder: Path) -> Command:
    """Ask the engine itself so often that all that was said before has been carried: the same loop does that."""
    beside = Command(*await asyncio.open_unix_connection(folder / "engine.sock"))
    for _ in range(3):
        beside.say(GET)
        assert await beside.answer() == ANSWER
    return beside


async def test_nothing_passes_before_it_may_read(engine: HeardEngine, tmp_path: Path) -> None:
    async with engine_gate(str(tmp_path / "engine.sock")) as gate:
        assert gate is not None
        command = await connect(gate)
        command.say(HEAD, POST)
        beside = await ask_beside(tmp_path)
        assert engine.heard == 3 * GET
        gate.let_read()
        assert await command.answer() == ANSWER
        await reads_after(gate)
        assert b"POST" not in engine.heard
        for one in (command, beside):
            one.close()


async def test_who_has_looked_is_told_of_once(engine: HeardEngine, tmp_path: Path) -> None:
    told: list[bytes] = []
    async with engine_gate(str(tmp_path / "engine.sock"), lambda: told.append(bytes(engine.heard))) as gate:
        assert gate is not None
        commands = [await connect(gate) for _ in range(3)]
        commands[0].say(POST)
        commands[1].say(GET)
        (await ask_beside(tmp_path)).close()
        assert not told, "nobody may look yet"
        commands[0].close()
        gate.let_read()
        assert await commands[1].answer() == ANSWER
        commands[1].say(GET)
        assert await commands[1].answer() == ANSWER
        for one in commands[1:]:
            one.say(POST)
        await reads_after(gate)
        assert told, "something waits that would change something"
        assert len(told) == 1
        for one in commands[1:]:
            one.close()


async def test_reading_passes_at_once(gate: EngineGate, engine: HeardEngine) -> None:
    command = await connect(gate)
    for one in (GET, HEAD, request("GET /containers", more=b"X: " + b"long" * (1 << 12))):
        command.say(one)
        assert await command.answer() == ANSWER
        assert engine.heard.endswith(one)
    command.close()


async def test_reading_passes_in_pieces(gate: EngineGate, engine: HeardEngine) -> None:
    command = await connect(gate)
    for piece in (GET[:2], GET[2:7], GET[7:-1]):
        command.say(piece)
        await reads_after(gate)
    assert engine.heard.count(b"GET") == 9, "all of it were those that were read with"
    command.say(GET[-1:])
    assert await command.answer() == ANSWER
    command.close()


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(POST, id="post"),
        pytest.param(request("PUT /x"), id="put"),
        pytest.param(request("DELETE /x"), id="delete"),
        pytest.param(request("get /lower"), id="of no known kind"),
        pytest.param(b"\r\n" + POST, id="after an empty line"),
        pytest.param(
            request("POST /chunked", b"3\r\nabc\r\n0\r\n\r\n", more=b"Transfer-Encoding: chunked"), id="chunks"
        ),
    ],
)
async def test_changes_wait_until_it_is_opened(gate: EngineGate, engine: HeardEngine, said: bytes) -> None:
    command = await connect(gate)
    command.say(GET)
    assert await command.answer() == ANSWER
    command.say(said, b"more")
    await reads_after(gate)
    assert said not in engine.heard
    gate.open()
    assert await engine.has_heard(said + b"more")
    command.close()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(GET, POST, id="said at once with what reads"),
        pytest.param(GET + GET, POST, id="the third at once"),
        pytest.param(request("GET /with", more=b"Content-Length: 4"), POST[:4] + POST, id="as the body of what reads"),
        pytest.param(request("GET /attach", more=b"Upgrade: tcp"), b"\x81\x05hello", id="in another protocol"),
    ],
)
async def test_what_follows_waits_for_itself(
    gate: EngineGate, engine: HeardEngine, before: bytes, after: bytes
) -> None:
    command = await connect(gate)
    command.say(before + after)
    for _ in range(before.count(b"GET")):
        assert await command.answer() == ANSWER
    await reads_after(gate)
    assert after not in engine.heard
    gate.open()
    assert await engine.has_heard(after)
    command.close()


async def test_what_waits_is_read_no_further_than_needed(gate: EngineGate, engine: HeardEngine) -> None:
    """Neither side makes the bot hold what the other does not take."""
    body = b"x" * (64 * MOST_HELD)
    command = await connect(gate)
    command.say(request("POST /load", body))
    await reads_after(gate)
    assert MOST_HELD < max(len(one._held) for one in gate._passages) < 8 * MOST_HELD
    assert command.waits > MOST_HELD
    gate.open()
    assert await engine.has_heard(body)
    assert await command.answer() == ANSWER
    command.close()


async def test_what_waits_gets_nowhere_when_it_is_closed(engine: HeardEngine, tmp_path: Path) -> None:
    async with engine_gate(str(tmp_path / "engine.sock")) as gate:
        assert gate is not None
        gate.let_read()
        folder = gate.path.parent
        assert folder.stat().st_mode & 0o777 == 0o700, "nobody else reaches the engine by it"
        command = await connect(gate)
        command.say(GET)
        assert await command.answer() == ANSWER
        command.say(POST)
        await reads_after(gate)
    assert await command.ended()
    assert b"POST" not in engine.heard
    assert not folder.exists()
    late = gate.enter()
    accepted, _ = await asyncio.get_running_loop().create_unix_connection(lambda: late, tmp_path / "engine.sock")
    assert accepted.is_closing(), "who was accepted in the last moment is sent away"
    command.close()


@pytest.mark.parametrize("how", ["gone", "half"])
async def test_who_leaves_while_it_waits_changes_nothing(gate: EngineGate, engine: HeardEngine, how: str) -> None:
    command = await connect(gate)
    command.say(POST)
    await reads_after(gate)
    command.close() if how == "gone" else command.say_no_more()
    await reads_after(gate)
    gate.open()
    await reads_after(gate)
    assert b"POST" not in engine.heard
    if how == "half":
        assert await command.ended()
        command.close()


async def test_engine_that_is_away_ends_the_connection(tmp_path: Path) -> None:
    async with engine_gate(str(tmp_path / "nobody.sock")) as gate:
        assert gate is not None
        command = await connect(gate)
        command.say(GET)
        assert await command.ended()
        command.close()


async def test_engine_that_goes_away_ends_what_waits(gate: EngineGate, engine: HeardEngine) -> None:
    command = await connect(gate)
    command.say(POST)
    await reads_after(gate)
    engine.close()
    assert await command.ended()
    again = await connect(gate)
    again.say(GET)
    assert await again.answer() == ANSWER
    again.close()
    command.close()


async def test_command_that_leaves_leaves_the_engine(gate: EngineGate, engine: HeardEngine) -> None:
    command = await connect(gate)
    command.say(GET)
    assert await command.answer() == ANSWER
    command.close()
    async with asyncio.timeout(SECONDS):
        await engine.left.wait()


async def test_no_gate_where_its_path_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    async with engine_gate("/engine.sock") as gate:
        assert gate is None
    assert not [*folder.iterdir()]


@pytest.mark.parametrize("what", ["folder", "socket"])
async def test_no_gate_where_it_has_no_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none" if what == "folder" else tmp_path))
    monkeypatch.setattr(gates, "NAME", "no/such/folder")
    async with engine_gate("/engine.sock") as gate:
        assert gate is None
    assert not [*tmp_path.iterdir()]
