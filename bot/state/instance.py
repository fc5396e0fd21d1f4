"""Detect which processes live: each holds a file lock while it runs, and the kernel releases it at its end."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from roas.models.identifiers import new_id

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
        return tuple(one for one in self.living(prefix) if self._path(one).read_bytes() != IDLE)

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
