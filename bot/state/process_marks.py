"""Identify processes by more than their PID, which the kernel reuses."""

import os
from functools import cache
from pathlib import Path

from roas.models.ownership import ProcessMark

PROCESSES = Path("/proc")
# The fields after the command's name, which is in brackets and may hold anything; the name is the second of them all.
STARTED = 22 - 3


@cache
def this_process() -> ProcessMark:
    """Return what identifies this process among all of this boot."""
    pid = os.getpid()
    return ProcessMark(pid, started_at(pid), pid_namespace())


def started_at(pid: int) -> int:
    """Return when a process began, in clock ticks since boot. Raises OSError where there is none of that number."""
    return int(
        (PROCESSES / str(pid) / "stat")
        .read_text(encoding="utf-8", errors="replace")
        .rpartition(")")[2]
        .split()[STARTED]
    )


def pid_namespace() -> str:
    """Return within what this process's number has a meaning: containers have one each."""
    return str((PROCESSES / "self" / "ns" / "pid").readlink())
