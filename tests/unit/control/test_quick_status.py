"""What a running bot says is passed on as it is; whatever is unusual is left to the command."""

import asyncio
import json
import socket
from pathlib import Path

import pytest

from roas.commands import quick_status
from roas.commands.quick_status import pass_on_status
from roas.control.client import ControlClient
from roas.control.quick_question import quick_answer
from roas.control.server import ControlServer
from roas.errors import EngineUnavailableError
from roas.state.documents import to_json
from roas.state.manager import StateManager
from tests.unit.control.conftest import PlayedCollector


@pytest.fixture(autouse=True)
def of_this_bot(state: StateManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STATE_DIR", str(state.folder))


async def asked(*arguments: str) -> int | None:
    return await asyncio.to_thread(pass_on_status, arguments)


@pytest.mark.parametrize("named", [(), ("dev",)], ids=["all", "one"])
async def test_document_is_passed_on(server: ControlServer, state: StateManager, named, capfd) -> None:
    async with server:
        assert await asked("status", *named, "--json") == 0
        async with ControlClient(state.folder) as client:
            report = await client.status(*named)
    printed = capfd.readouterr()
    assert json.loads(printed.out) == json.loads(to_json(report))
    assert printed.err == ""


async def test_unknown_health_is_told_by_exit_code(server: ControlServer, collector: PlayedCollector, capfd) -> None:
    collector.fault = EngineUnavailableError("The engine is away.")
    async with server:
        assert await asked("status", "--json") == 69
    assert "The engine is away." in capfd.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("status",),
        ("status", "dev"),
        ("status", "--json", "--help"),
        ("status", "--json", "dev", "prod"),
        ("status", "--json", ""),
        ("status", "nowhere", "--json"),
        ("history", "--json"),
        ("--json", "status"),
    ],
)
async def test_other_arguments_are_left_to_command(server: ControlServer, arguments, capfd) -> None:
    async with server:
        assert await asked(*arguments) is None
    assert capfd.readouterr().out == ""


async def test_other_version_is_left_to_command(server: ControlServer, monkeypatch, capfd) -> None:
    monkeypatch.setattr(quick_status, "__version__", "0.0.1")
    async with server:
        assert await asked("status", "--json") is None
    assert capfd.readouterr().out == ""


async def test_without_bot_is_left_to_command() -> None:
    assert await asked("status", "--json") is None


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", b"HTTP/1.1 200 OK\r\n\r\n{}", b"SSH-2.0\r\n\r\n{}"],
)
async def test_broken_answer_is_none(state: StateManager, answer: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(state.folder / "control.sock"))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer)

        served = asyncio.create_task(asyncio.to_thread(serve))
        assert await asyncio.to_thread(quick_answer, state.folder, "/v1/greeting", 5.0) is None
        await served


async def test_silent_bot_is_left_to_command(state: StateManager, monkeypatch) -> None:
    monkeypatch.setattr(quick_status, "GREETING_SECONDS", 0.05)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(state.folder / "control.sock"))
        listener.listen()
        assert await asked("status", "--json") is None
