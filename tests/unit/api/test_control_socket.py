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

from roas.api.application import ControlApi
from roas.api.control_client import ControlClient
from roas.api.control_socket import serve_control_socket
from roas.api.documents import ControlSocketHeldError, ControlUnavailableError
from roas.api.socket_path import SOCKET_NAME
from roas.errors import StateError
from roas.state.manager import StateManager
from tests.unit.api.conftest import PlayedCollector
from tests.unit.played_orchestrator import PlayedOrchestrator

SERVE_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
from roas.api.application import ControlApi
from roas.api.control_socket import serve_control_socket
from roas.state.manager import StateManager

async def main():
    async with StateManager(Path(sys.argv[1])) as state:
        api = ControlApi(state=state, orchestrator=None, environments={}, health=None, candidates=None, secrets=None)
        async with serve_control_socket(api, state.folder):
            print("listening", flush=True)
            await asyncio.Event().wait()

asyncio.run(main())
"""


def another_api(state: StateManager) -> ControlApi:
    return ControlApi(
        state=state,
        orchestrator=PlayedOrchestrator(state),
        environments={},
        health=PlayedCollector(),
        candidates=None,
        secrets=None,
    )


async def test_socket_restricted_to_own_user(api: ControlApi, state: StateManager) -> None:
    async with serve_control_socket(api, state.folder) as path:
        mode = path.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_socket_removed_on_stop(api: ControlApi, state: StateManager) -> None:
    async with serve_control_socket(api, state.folder) as path:
        assert path.exists()
    assert not path.exists()
    async with ControlClient(state.folder) as client:
        with pytest.raises(ControlUnavailableError):
            await client.greet()


async def test_socket_of_killed_bot_replaced(state: StateManager, api: ControlApi) -> None:
    dead = subprocess.Popen(
        [sys.executable, "-c", SERVE_UNTIL_KILLED, str(state.folder)], stdout=subprocess.PIPE, text=True
    )
    assert dead.stdout is not None
    assert "listening" in dead.stdout.readline()
    dead.send_signal(signal.SIGKILL)
    dead.wait()
    dead.stdout.close()
    assert (state.folder / SOCKET_NAME).exists()
    async with serve_control_socket(api, state.folder), ControlClient(state.folder) as client:
        assert (await client.greet()).instance_id == state.instance_id


async def test_socket_of_running_bot_kept(state: StateManager, api: ControlApi, tmp_path: Path) -> None:
    """Another one serves in a folder of its own, or once the first was stopped."""
    async with serve_control_socket(api, state.folder):
        with pytest.raises(ControlSocketHeldError, match="answers on") as refused:
            async with serve_control_socket(another_api(state), state.folder):
                pass
        assert refused.value.hint == "Stop the other bot, or give this one a STATE_DIR of its own."
        async with serve_control_socket(another_api(state), tmp_path):
            assert (tmp_path / SOCKET_NAME).exists()
        async with ControlClient(state.folder) as client:
            assert (await client.greet()).instance_id == state.instance_id
    async with serve_control_socket(another_api(state), state.folder) as path:
        assert path.exists()


async def test_long_folder_path_supported(tmp_path: Path) -> None:
    """The folder may lie deeper than a socket path can be long."""
    folder = tmp_path / ("d" * 100) / ("e" * 100)
    async with StateManager(folder) as state, serve_control_socket(another_api(state), folder) as path:
        assert len(os.fsencode(path)) > 200
        async with ControlClient(folder) as client:
            assert (await client.greet()).instance_id == state.instance_id


async def test_unresponsive_listener_times_out(state: StateManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roas.api.control_client.GREETING_SECONDS", 0.2)
    with socket.socket(socket.AF_UNIX) as unresponsive:
        unresponsive.bind(str(state.folder / "control.sock"))
        unresponsive.listen()
        async with ControlClient(state.folder) as client:
            with pytest.raises(ControlUnavailableError, match="not answer in time"):
                await client.greet()


async def test_unusable_folder_holds_no_lock(api: ControlApi, state: StateManager) -> None:
    """A socket that cannot be removed when a bot steps down does not keep that bot from listening again."""
    async with serve_control_socket(api, state.folder) as path:
        path.unlink()
        path.mkdir()
    path.rmdir()
    async with serve_control_socket(api, state.folder), ControlClient(state.folder) as client:
        assert (await client.greet()).instance_id == state.instance_id


async def test_folder_that_takes_no_lock_is_said(api: ControlApi, state: StateManager) -> None:
    with pytest.raises(StateError, match="cannot be made"):
        async with serve_control_socket(api, state.folder / "nowhere"):
            pass


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
