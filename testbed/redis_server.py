"""A real Redis server of one's own, to be killed, stopped, emptied and started again."""

import shutil
import signal
import subprocess
from pathlib import Path
from types import TracebackType

from testbed.ports import free_port
from testbed.stopping import stop_process
from testbed.waiting import wait_until


class RedisServer:
    """Run `redis-server` on a free port of loopback, with its data in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return where it is."""
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> "RedisServer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start it and wait until it answers."""
        if shutil.which("redis-server") is None:
            raise FileNotFoundError("redis-server is not installed: run script/bootstrap --test")
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        self._process = subprocess.Popen(
            ["redis-server", *options, "--appendonly", "yes", "--appendfsync", "always", "--save", ""],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if not wait_until(lambda: self.command("PING") == "PONG", 10, poll=0.02):
            raise TimeoutError("redis-server does not answer")

    def kill(self) -> None:
        """Kill it as a crash would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Suspend it: connections stay, nothing is answered."""
        assert self._process is not None
        stop_process(self._process.pid)

    def thaw(self) -> None:
        """Resume it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def command(self, *arguments: str) -> str:
        """Run a command by redis-cli and return what it prints."""
        command = ["redis-cli", "-p", str(self.port), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
        return done.stdout.strip()
