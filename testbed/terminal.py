"""Run a program in a terminal of its own, press keys there, and close the terminal under it."""

import os
import pty
import select
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

CTRL_C = b"\x03"
CTRL_S = b"\x13"


class Terminal:
    """Hold the person's side of the terminal."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self.seen = ""
        self._person, program = pty.openpty()
        self._is_open = True
        try:
            # setsid makes it the program's controlling terminal, so that closing it is SIGHUP, and Ctrl-C is SIGINT.
            self.process = subprocess.Popen(
                ["setsid", "--ctty", *command],
                stdin=program,
                stdout=program,
                stderr=program,
                env=dict(environment),
                cwd=folder,
            )
        finally:
            os.close(program)

    def read_until(self, text: str, seconds: float) -> None:
        """Read until the program has written some text. Raises AssertionError."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            assert select.select([self._person], [], [], max(0.0, deadline - time.monotonic()))[0], self.seen
            try:
                self.seen += os.read(self._person, 4096).decode(errors="replace")
            except OSError as ended:
                raise AssertionError(self.seen) from ended

    def press(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._person, keys)

    def close(self) -> None:
        """Close it, as happens when a person closes the window or the connection breaks."""
        if self._is_open:
            os.close(self._person)
            self._is_open = False


@contextmanager
def terminal(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Iterator[Terminal]:
    """Run a program in a terminal for the length of a block."""
    opened = Terminal(command, environment, folder)
    try:
        yield opened
    finally:
        opened.close()
        opened.process.kill()
        opened.process.wait()
