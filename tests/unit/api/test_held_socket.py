"""What the leader says of the socket on which the command line reaches it."""

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from roas.api import control_socket
from roas.api.control_socket import ControlSocket
from roas.api.documents import ControlSocketHeldError
from roas.limits import SOCKET_TRIES


class HeldFor:
    """Stand for the server of the socket, which another bot holds for the first tries."""

    def __init__(self, tries: int) -> None:
        self.left = tries
        self.listens = asyncio.Event()

    def __call__(self, *_parts: Any) -> Self:
        return self

    async def __aenter__(self) -> Self:
        if self.left:
            self.left -= 1
            raise ControlSocketHeldError("Another bot answers.", hint="Stop the other bot.")
        self.listens.set()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        pass


@pytest.mark.parametrize(("tries", "warnings"), [(1, 0), (SOCKET_TRIES + 2, 1)])
async def test_handover_warns_of_no_other_bot(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path, tries: int, warnings: int
) -> None:
    """Whoever reads a warning to stop the other bot, at the end of each handover, might do so."""
    held = HeldFor(tries)
    monkeypatch.setattr(control_socket, "serve_control_socket", held)
    monkeypatch.setattr(control_socket, "SOCKET_RETRY_SECONDS", 0)
    nobody: Any = None
    socket = ControlSocket(nobody, tmp_path)
    await socket.start()
    async with asyncio.timeout(10):
        await held.listens.wait()
    await socket.stop()
    assert [record.levelname for record in caplog.records] == ["WARNING"] * warnings
