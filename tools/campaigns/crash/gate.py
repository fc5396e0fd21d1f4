"""Receive each step of the instrumented bots, and suspend the one at the armed point."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from tools.campaigns.crash.points import Counting, Point, Report, Role

SOCKET_NAME = "campaign.sock"
# Inspect a report before its sender may continue.
Look = Callable[[Report], Awaitable[Report]]


class Gate:
    """Let every bot pass but the one at the armed point; keep a trace of what was reported."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / SOCKET_NAME
        self.trace: list[Report] = []
        self._server: asyncio.Server | None = None
        self._predecessor = ""
        self._counting = Counting()
        self._look: Look | None = None
        self._armed: Callable[[Point], bool] | None = None
        self._held: asyncio.Future[Report] | None = None
        self._open = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._answer, str(self.path))
        self.path.chmod(0o666)  # the bots are another user's; only their folder lets anybody in
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release every bot."""
        self.release()
        if self._server is not None:
            self._server.close()

    def begin(self, predecessor: str, look: Look | None = None) -> None:
        """Begin a round: `predecessor` is the id of the container that runs the deployment first."""
        self.release()
        self.trace = []
        self._predecessor, self._look, self._counting = predecessor, look, Counting()

    def arm(self, wanted: Callable[[Point], bool]) -> "asyncio.Future[Report]":
        """Suspend the first bot that reaches a wanted point; the future then has its report."""
        self._open.clear()
        self._armed, self._held = wanted, asyncio.get_running_loop().create_future()
        return self._held

    def release(self) -> None:
        """Disarm the gate."""
        self._armed = None
        self._open.set()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if line := await reader.readline():
                await self._hold(json.loads(line))
                writer.write(b".")
        except OSError:  # the suspended process has been killed
            pass
        finally:
            writer.close()

    async def _hold(self, message: dict[str, str]) -> None:
        role = Role.PREDECESSOR if self._predecessor.startswith(message["container"]) else Role.SUCCESSOR
        point = self._counting.point(role, message["step"], message["when"])
        report = Report(point, message["service"], time.monotonic())
        if self._look is not None:
            report = await self._look(report)
        self.trace.append(report)
        if self._armed is not None and self._held is not None and not self._held.done() and self._armed(point):
            self._held.set_result(report)
            await self._open.wait()
