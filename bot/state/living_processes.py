"""Detect which processes live: each holds a file lock while it runs, and the kernel releases it at its end."""

import fcntl
import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from roas.models.alert import Instant
from roas.models.leader_lease import ProcessMark
from roas.models.stored import new_id

# Where the locks of all processes are, in the state folder.
INSTANCES = "instances"
IDLE = b"idle"


class Instance:
    """Be known as one running process; the lock ends with the process, however it ends, in whatever container."""

    def __init__(self, folder: Path, prefix: str = "BOT") -> None:
        self.id = new_id(prefix)
        self._folder = folder
        self._descriptor: int | None = None

    def announce(self) -> None:
        """Acquire this process's lock, and remove the lock files of processes that are gone."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while self._descriptor is None:
            self._descriptor = self._locked()
        for path in self._folder.glob("*.lock"):
            if path.stem != self.id:
                _clear(path)

    def _locked(self) -> int | None:
        """Lock this process's file; returns None where another process removed it first."""
        path = self._path(self.id)
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)
        return None

    def note_idle(self) -> None:
        """Tell others that this process lives but acts no more: it lost the journal, and waits for a person."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.write(self._descriptor, IDLE)

    def acting(self, prefix: str) -> tuple[str, ...]:
        """Return the ids of the other living processes whose id begins with a prefix, but for those that are idle."""
        return tuple(instance_id for instance_id in self.living(prefix) if self._path(instance_id).read_bytes() != IDLE)

    def withdraw(self) -> None:
        """Release the lock; a file that cannot be removed any more (a read-only folder) is that of a dead process."""
        if self._descriptor is not None:
            with suppress(OSError):
                self._path(self.id).unlink()
            os.close(self._descriptor)
            self._descriptor = None

    def is_alive(self, instance_id: str) -> bool:
        """Return whether the process of that id still runs (a stopped one does)."""
        if instance_id == self.id:
            return True
        try:
            descriptor = os.open(self._path(instance_id), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two that ask at once do not see each other
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def forget(self, instance_id: str) -> None:
        """Remove what a dead process left."""
        with suppress(FileNotFoundError):
            self._path(instance_id).unlink()

    def living(self, prefix: str) -> tuple[str, ...]:
        """Return the ids of the other living processes whose id begins with a prefix."""
        ids = (path.stem for path in self._folder.glob(f"{prefix}-*.lock"))
        return tuple(sorted(i for i in ids if i != self.id and self.is_alive(i)))

    def _path(self, instance_id: str) -> Path:
        return self._folder / f"{Path(instance_id).name}.lock"


def _clear(path: Path) -> None:
    """Remove a lock file that no process holds."""
    with suppress(FileNotFoundError, BlockingIOError):
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        finally:
            os.close(descriptor)


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


def boot_seconds() -> float:
    """Return the seconds since the machine booted, time asleep included; never set back."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@cache
def boot_id() -> str:
    """Return the id of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def instant() -> Instant:
    """Return the present moment by both clocks."""
    return Instant(datetime.now(UTC), boot_id(), boot_seconds())
