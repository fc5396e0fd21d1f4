"""Find and end what a killed private engine left running, and nothing else."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from testbed.waiting import wait_until


def command_of(pid: int) -> list[str]:
    """Return a process's command line, empty when there is no such process."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    return []


def is_running(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def children_of(pid: int) -> list[int]:
    """Return the children of a process."""
    children: list[int] = []
    for task in Path("/proc").glob(f"{pid}/task/*/children"):
        with suppress(OSError):
            children += map(int, task.read_text().split())
    return children


def end_engine(folder: Path, namespace: str, *, with_containers: bool = True) -> None:
    """Stop the engine that runs from a folder, and optionally the shims and containers of its namespace."""
    engines, shims = _engines_and_shims(folder, namespace)
    shims = shims if with_containers else []
    doomed = _with_descendants([*engines, *shims])
    for pid in engines:
        _kill(pid)
    for pid in shims:
        for child in children_of(pid):
            _kill(child)
        _kill(pid)
    wait_until(lambda: not any(map(is_running, doomed)), 10)


def processes_of(folder: Path, namespace: str) -> list[int]:
    """Return all processes of the engine that runs from a folder: its own, the shims, and what runs in containers."""
    engines, shims = _engines_and_shims(folder, namespace)
    return _with_descendants([*engines, *shims])


def _with_descendants(processes: list[int]) -> list[int]:
    found, left = [], [*processes]
    while left:
        found.append(pid := left.pop())
        left += [child for child in children_of(pid) if child not in found and child not in left]
    return found


def _engines_and_shims(folder: Path, namespace: str) -> tuple[list[int], list[int]]:
    commands = {pid: command_of(pid) for pid in _pids()}
    engines = [pid for pid, command in commands.items() if _is_engine(command, folder)]
    return engines, [pid for pid, command in commands.items() if _is_shim(command, namespace)]


def unmount_below(folder: Path) -> None:
    """Detach whatever is still mounted on a folder or below it."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for mount in sorted(mounts, key=len, reverse=True):
        if Path(mount).is_relative_to(folder):
            subprocess.run(["umount", "--lazy", mount], capture_output=True, check=False, timeout=30)


def remove_folder(folder: Path) -> None:
    """Remove a folder with whatever is still mounted below it."""
    unmount_below(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _is_engine(command: list[str], folder: Path) -> bool:
    ours = any(part.startswith(f"{folder}/") for part in command)
    return bool(command) and Path(command[0]).name in {"dockerd", "containerd"} and ours


def _is_shim(command: list[str], namespace: str) -> bool:
    """Return whether it is one of a namespace, or of those whose names begin with it: a Swarm has one for each node."""
    ours = any(part == namespace or part.startswith(f"{namespace}-") for part in command)
    return bool(command) and Path(command[0]).name.startswith("containerd-shim") and ours


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
