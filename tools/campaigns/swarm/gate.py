"""Receive each step of an instrumented command, and do something at one of them before the command goes on."""

import json
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Thread
from types import TracebackType
from typing import Self

SOCKET = "gate.sock"
Act = Callable[[], None]


@dataclass(frozen=True)
class Report:
    """Hold who said when that a step is about to be done, or is done."""

    at: float
    container: str
    when: str
    step: str


class StepGate:
    """Listen for the time of a `with` block; `trace` has the steps of the command that runs now, in their order.

    `times` has when each was, by the monotonic clock, `reports` who said it, too.
    """

    def __init__(self, folder: Path, *, open_to_all: bool = False) -> None:
        """Listen in a folder; `open_to_all` lets the user of a container knock, too."""
        self.path = folder / SOCKET
        self.reports: list[Report] = []
        self._open_to_all = open_to_all
        self.trace: list[str] = []
        self.times: list[float] = []
        self.reached = False
        self._seen: Counter[str] = Counter()
        self._wanted, self._act = "", _nothing
        self._lock = Lock()
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def __enter__(self) -> Self:
        """Begin to listen."""
        self.path.unlink(missing_ok=True)
        self._server.bind(str(self.path))
        if self._open_to_all:
            self.path.chmod(0o666)
        self._server.listen(64)
        Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; whoever comes now is let pass."""
        self._server.close()
        self.path.unlink(missing_ok=True)

    def arm(self, wanted: str = "", act: Act | None = None) -> None:
        """Begin a round: at the step `wanted`, `act` is done while the command is held."""
        with self._lock:
            self.trace, self.times, self.reports, self.reached, self._seen = [], [], [], False, Counter()
            self._wanted, self._act = wanted, act or _nothing

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, ValueError):
            report = json.loads(connection.makefile().readline())
            self.reports.append(Report(time.monotonic(), report["container"], report["when"], report["step"]))
            if self._is_wanted(f"{report['when']} {report['step']}"):
                self._act()
            connection.sendall(b".")

    def _is_wanted(self, step: str) -> bool:
        """Count a step, since the same one may come more than once, and return whether it is the one."""
        with self._lock:
            self._seen[step] += 1
            if (times := self._seen[step]) > 1:
                step = f"{step} #{times}"
            self.trace.append(step)
            self.times.append(time.monotonic())
            is_wanted = step == self._wanted and not self.reached
            self.reached = self.reached or is_wanted
        return is_wanted


def _nothing() -> None:
    """Let it pass."""
