"""What processes take of a core and of the memory, and how long the libraries alone need until a command is synced."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sandbox.bot_settings import bot_settings
from sandbox.client import SandboxClient
from testbed.home_stack import running_sandbox
from testbed.inherited import inherited
from tools.benchmarks.bare_bot import COMMAND
from tools.benchmarks.deploy import REPOSITORY

START_SECONDS, STOP_SECONDS = 60.0, 20.0
MEBIBYTE = 1 << 20
NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class BareBot:
    """Hold a process of the libraries alone, and how long it took until its command was synced."""

    pid: int
    start_seconds: float


@asynccontextmanager
async def bare_bot(log: Path) -> AsyncIterator[BareBot]:
    """Run the libraries alone beside a sandbox of their own; gives them once their command is synced."""
    with running_sandbox() as discord:
        environment = {**inherited(), "PYTHONPATH": str(REPOSITORY), **bot_settings(discord)}
        async with SandboxClient(discord["control_url"], discord["control_token"]) as people:
            began = time.monotonic()
            with log.open("wb") as output:
                command = (sys.executable, "-m", "tools.benchmarks.bare_bot")
                process = await asyncio.create_subprocess_exec(
                    *command, env=environment, stdout=output, stderr=output, cwd=log.parent
                )
            try:
                await people.wait_for_commands(COMMAND, deadline_seconds=START_SECONDS)
                await people.wait_until_connected(START_SECONDS)
                yield BareBot(process.pid, time.monotonic() - began)
            finally:
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGKILL)
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()


def time_bare_start(log: Path) -> float:
    """Return the seconds from the start of the libraries alone until their command is synced."""

    async def start() -> float:
        async with bare_bot(log) as bare:
            return bare.start_seconds

    return asyncio.run(start())


def time_python() -> float:
    """Return the seconds that Python takes to begin and end."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "pass"], env=inherited(), timeout=STOP_SECONDS, check=True)
    return time.monotonic() - began


async def core_shares(*pids: int, seconds: float) -> list[float]:
    """Return how many percent of a core each process takes, all over the same time."""
    began, before = time.monotonic(), [thread_times(pid) for pid in pids]
    await asyncio.sleep(seconds)
    taken = [spent(earlier, thread_times(pid)) for pid, earlier in zip(pids, before, strict=True)]
    return [100 * item / (time.monotonic() - began) for item in taken]


def thread_times(pid: int) -> dict[int, int]:
    """Return the nanoseconds that each living thread of a process has run, by its number."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread has ended
            found[int(task.name)] = int((task / "schedstat").read_text(encoding="ascii").split()[0])
    return found


def spent(before: Mapping[int, int], after: Mapping[int, int]) -> float:
    """Return the seconds that threads have run between two looks; what one ran last that has ended is not known."""
    return sum(time - before.get(thread, 0) for thread, time in after.items()) / NANOSECONDS


def memory_of(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MEBIBYTE
