"""What the leader says of the socket on which the command line reaches it."""

import asyncio
from types import SimpleNamespace, TracebackType
from typing import Any, Self

import pytest

from roas.api.documents import ControlSocketHeldError
from roas.concurrency import end_tasks
from roas.leadership import leader_tasks
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
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tries: int, warnings: int
) -> None:
    """Whoever reads a warning to stop the other bot, at the end of each handover, might do so."""
    held = HeldFor(tries)
    monkeypatch.setattr(leader_tasks, "serve_control_socket", held)
    monkeypatch.setattr(leader_tasks, "SOCKET_RETRY_SECONDS", 0)
    application: Any = SimpleNamespace(
        state=SimpleNamespace(folder=None),
        orchestrator=None,
        environments=None,
        collector=None,
        candidates=None,
        stacks=None,
        redactor=None,
        schedule=SimpleNamespace(notify=None),
    )
    task = asyncio.create_task(leader_tasks._answer_command_line(application))
    async with asyncio.timeout(10):
        await held.listens.wait()
    await end_tasks(task)
    assert [record.levelname for record in caplog.records] == ["WARNING"] * warnings
