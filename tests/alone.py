"""Let a test that measures answers have the machine to itself, among the workers of one run.

Whoever shares waits only while somebody is alone, or is about to be. Both are locks of files, which end with a process.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Room:
    """Hold the places of the two locks: one to enter, one to be inside."""

    def __init__(self, folder: Path) -> None:
        self._gate, self._inside = folder / "gate.lock", folder / "inside.lock"

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Be inside together with others."""
        with _locked(self._gate, fcntl.LOCK_EX):
            inside = _lock(self._inside, fcntl.LOCK_SH)
        try:
            yield
        finally:
            os.close(inside)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let nobody enter any more, wait until all others have left, and be inside alone."""
        with _locked(self._gate, fcntl.LOCK_EX), _locked(self._inside, fcntl.LOCK_EX):
            yield


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    descriptor = _lock(path, how)
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(path: Path, how: int) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, how)
    return descriptor
