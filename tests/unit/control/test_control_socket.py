"""The socket itself: who may use it, who owns it, and where it lies."""

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from roas.control.client import ControlClient
from roas.control.error_documents import ControlSocketHeldError, ControlUnavailableError
from roas.control.server import ControlServer
from roas.state.manager import StateManager
from tests.unit.control.conftest import PlayedCollector, PlayedOrchestrator

SERVE_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
from roas.control.server import ControlServer
from roas.state.manager import StateManager

async def main():
    async with StateManager(Path(sys.argv[1])) as state:
        server = ControlServer(state=state, orchestrator=None, environments={}, health=None)
        await server.start()
        print("listening", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def another_server(state: StateManager) -> ControlServer:
    return ControlServer(state=state, orchestrator=PlayedOrchestrator(state), environments={}, health=PlayedCollector())


async def test_socket_restricted_to_own_user(server: ControlServer) -> None:
    async with server:
        mode = server.path.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        assert stat.S_IMODE(server.path.parent.stat().st_mode) == 0o700


async def test_socket_removed_on_stop(server: ControlServer, state: StateManager) -> None:
    async with server:
        pass
    assert not server.path.exists()
    async with ControlClient(state.folder) as client:
        with pytest.raises(ControlUnavailableError):
            await client.greet()


async def test_socket_of_killed_bot_replaced(state: StateManager, server: ControlServer) -> None:
    dead = subprocess.Popen(
        [sys.executable, "-c", SERVE_UNTIL_KILLED, str(state.folder)], stdout=subprocess.PIPE, text=True
    )
    assert dead.stdout is not None
    assert "listening" in dead.stdout.readline()
    dead.send_signal(signal.SIGKILL)
    dead.wait()
    dead.stdout.close()
    assert server.path.exists()
    async with server, ControlClient(state.folder) as client:
        assert (await client.greet()).instance_id == state.instance_id


async def test_socket_of_running_bot_kept(state: StateManager, server: ControlServer) -> None:
    async with server:
        with pytest.raises(ControlSocketHeldError, match="answers on"):
            await another_server(state).start()
        async with ControlClient(state.folder) as client:
            assert (await client.greet()).instance_id == state.instance_id


async def test_long_folder_path_supported(tmp_path: Path) -> None:
    """The folder may lie deeper than a socket path can be long."""
    folder = tmp_path / ("d" * 100) / ("e" * 100)
    async with StateManager(folder) as state, another_server(state) as server:
        assert len(os.fsencode(server.path)) > 200
        async with ControlClient(folder) as client:
            assert (await client.greet()).instance_id == state.instance_id


async def test_unresponsive_listener_times_out(state: StateManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roas.control.client.GREETING_SECONDS", 0.2)
    with socket.socket(socket.AF_UNIX) as unresponsive:
        unresponsive.bind(str(state.folder / "control.sock"))
        unresponsive.listen()
        async with ControlClient(state.folder) as client:
            with pytest.raises(ControlUnavailableError, match="not answer in time"):
                await client.greet()


async def test_unusable_folder_holds_no_lock(server: ControlServer, state: StateManager) -> None:
    """A socket that cannot be removed when a bot steps down does not keep that bot from listening again."""
    await server.start()
    server.path.unlink()
    server.path.mkdir()
    await server.close()
    server.path.rmdir()
    async with server, ControlClient(state.folder) as client:
        assert (await client.greet()).instance_id == state.instance_id


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"220 mail\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: x\r\n\r\n",
    ],
    ids=["nothing", "another protocol", "half of it", "no number"],
)
async def test_answer_that_is_none_means_unreachable(state: StateManager, said: bytes) -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    async with (
        await asyncio.start_unix_server(answer, state.folder / "control.sock"),
        ControlClient(state.folder) as client,
    ):
        with pytest.raises(ControlUnavailableError):
            await client.greet()
