"""Folders in TMPDIR that are there while they are used; what a process left that was killed is removed by the next."""

import errno
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from roas.errors import EngineError, ShortageError
from roas.messages.message import said
from roas.shortages import find_shortage

PREFIX = "roas-tmp-"
# The kernel takes no longer path of a socket, with its end.
LONGEST_PATH = 107
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def temporary_folder(purpose: str) -> Iterator[Path]:
    """Make a folder that only this user may enter; it is gone afterwards. Raises EngineError where there is no place.

    It is locked meanwhile: the kernel releases the lock at the end of this process, however it ends.
    """
    made = None
    with writing_temporary():
        while made is None:
            made = _made(purpose)
    folder, descriptor = made
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def socket_in(folder: Path) -> Path:
    """Return the path of a socket in a folder. Raises EngineError where the kernel takes no path so long."""
    path = folder / "docker.sock"
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise EngineError(said("The path of TMPDIR is too long for a socket."))
    return path


@contextmanager
def writing_temporary() -> Iterator[None]:
    """Say, within the block, where a file cannot be written for a moment. Raises EngineError."""
    try:
        yield
    except OSError as error:
        short = find_shortage(error)
        if short is not None and error.errno not in FULL:
            raise short from error
        raise (ShortageError if short is not None else EngineError)(
            said("No temporary file can be written: {error}.", error=error.strerror or error),
            hint=said("Free space in the folder for temporary files, or name another one by TMPDIR."),
        ) from error


def remove_left_folders() -> int:
    """Remove the folders of this user that no living process uses, and return how many those were."""
    removed = 0
    with suppress(OSError):  # no folder for temporary files: nothing was left in it
        for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            with suppress(OSError):
                removed += _remove_left(path)
    return removed


def _made(purpose: str) -> tuple[Path, int] | None:
    """Make a folder and lock it; None where another process took it for a left one meanwhile."""
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{purpose}-"))
    try:
        descriptor = _opened(folder)
    except FileNotFoundError:
        return None
    with suppress(BlockingIOError, FileNotFoundError):  # it is held by who removes it, or is gone
        _lock(descriptor)
        if os.path.samestat(os.fstat(descriptor), folder.lstat()):
            return folder, descriptor
    os.close(descriptor)
    return None


def _lock(descriptor: int) -> None:
    """Lock a folder; where there are no such locks, nobody removes what is left, either. Raises BlockingIOError."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return


def _remove_left(path: Path) -> bool:
    """Remove a folder that is nobody's; who made it just now, and has no lock yet, makes another one."""
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        return False
    descriptor = _opened(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return not path.exists()


def _opened(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
