"""Run the sandbox as a process of its own, where the engine's containers reach it."""

import asyncio
import json
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from testbed.inherited import inherited

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 20.0
STOP_SECONDS = 15.0


class ProcessError(Exception):
    """A process did not start or died; the message ends with its failure output."""


@dataclass
class Process:
    """A child process and its log."""

    name: str
    child: asyncio.subprocess.Process
    log: Path

    def tail(self, lines: int = 25) -> str:
        """Return the last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def check(self) -> None:
        """Raise ProcessError when it is no longer there."""
        if self.child.returncode is not None:
            raise ProcessError(f"{self.name} ended with code {self.child.returncode}:\n{self.tail()}")

    async def stop(self) -> int:
        """Ask it to end, insist after a while, and return its exit code."""
        if self.child.returncode is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    return await self.child.wait()
            except TimeoutError:
                self.child.kill()
        return await self.child.wait()


async def start_sandbox(host: str, folder: Path) -> tuple[Process, dict[str, Any]]:
    """Start the sandbox at an address and return it with what it says of itself."""
    log = folder / "sandbox.log"
    with log.open("wb") as errors:
        arguments = ["-m", "sandbox", "--host", host]
        child = await spawn(arguments, _own_environment(), folder, asyncio.subprocess.PIPE, errors)
    process = Process("The sandbox", child, log)
    if child.stdout is None:
        raise ProcessError("the sandbox has no output")
    try:
        async with asyncio.timeout(START_SECONDS):
            line = await child.stdout.readline()
        return process, json.loads(line)
    except (TimeoutError, ValueError) as error:
        await process.stop()
        raise ProcessError(f"The sandbox did not start:\n{process.tail()}") from error


def _own_environment() -> dict[str, str]:
    return {**inherited(), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}


async def spawn(
    arguments: list[str], environment: dict[str, str], folder: Path, output: int | IO[bytes], errors: IO[bytes]
) -> asyncio.subprocess.Process:
    """Start Python in a session of its own, so that Ctrl-C reaches only the demo, which ends it in order."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        env=environment,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        start_new_session=True,
    )
