"""Open the files of a stack by descriptor: whatever becomes of their names, what was judged is what is read.

The path is one whose links are resolved already. The kernel is told to follow none on the way (`openat2`), so that a
name that is replaced by a link after it was judged leads nowhere.
"""

import ctypes
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from roas.errors import ComposeFileError, too_large_file
from roas.messages.message import said

# The same number on every architecture.
SYS_OPENAT2 = 437
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
KINDS = {
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
    stat.S_IFDIR: "directory",
}


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


# The kernel takes no longer ones.
LONGEST_NAME, LONGEST_PATH = 255, 4095
SHOWN_OF_A_PATH = 100
# Docker follows no more of them either.
MOST_LINKS = 255

_libc = ctypes.CDLL(None, use_errno=True)


def resolve(path: Path) -> Path:
    """Return where a path leads; unlike `Path.resolve`, it accepts links in a circle, and ones that it may not read.

    Raises ComposeFileError for what can be no path, so that nothing after it has to take that into account.
    """
    try:
        name = os.fsencode(path)
        if len(name) > LONGEST_PATH or max(map(len, name.split(b"/"))) > LONGEST_NAME:
            raise ValueError(name)
        return _follow(os.path.join(os.getcwd(), path))  # noqa: PTH109, PTH118 - with each `..` in its place
    except ValueError as error:
        shown = repr(str(path)[:SHOWN_OF_A_PATH])
        raise ComposeFileError(said("{shown} is not a valid path.", shown=shown)) from error


def _follow(path: str) -> Path:
    """Follow an absolute path name by name; of links that may not be read, Python's versions differ in `realpath`."""
    here, left, links = Path("/"), path.split("/")[::-1], 0
    while left:
        name = left.pop()
        there = here.parent if name == ".." else here / name
        try:
            target = os.readlink(there) if links < MOST_LINKS else ""  # noqa: PTH115 - as it is written
        except OSError:
            target = ""
        if not target:  # no link, or one that may not be read
            here = there
            continue
        links += 1
        here = Path("/") if target.startswith("/") else here
        left += target.split("/")[::-1]
    return here


def is_there(path: Path) -> bool:
    """Return whether something has this path; what lies where the bot may not look is taken to be there."""
    try:
        path.stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return True


@contextmanager
def held(resolved: Path, folder: Path) -> Iterator[int]:
    """Hold what a resolved path names, unopened, beneath a resolved folder. Raises OSError."""
    base = folder if resolved.is_relative_to(folder) else Path("/")
    root = os.open(base, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        descriptor = _openat2(root, resolved.relative_to(base))
    finally:
        os.close(root)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def not_regular(path: Path, mode: int) -> ComposeFileError:
    """Create the error for what is no file that can be read to its end, as its mode says."""
    kind = KINDS.get(stat.S_IFMT(mode), "?")
    return ComposeFileError(said("{path} is not a regular file ({kind}).", path=path, kind=kind))


def open_regular(descriptor: int, path: Path) -> int:
    """Open for reading what is held, if it is a regular file: opening a pipe would wait, and a device might act.

    Raises ComposeFileError, OSError.
    """
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        raise not_regular(path, mode)
    # Without waiting: some files of the kernel, such as `/proc/kmsg`, are regular ones that never end.
    return os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def read_regular(path: Path, resolved: Path, folder: Path, most_bytes: int) -> tuple[os.stat_result, bytes]:
    """Return the status and the content of a regular file: where its path leads, beneath a resolved folder.

    Raises ComposeFileError for anything else and for what has more than `most_bytes`, OSError.
    """
    with held(resolved, folder) as descriptor:
        opened = open_regular(descriptor, path)
    try:
        status, content = os.fstat(opened), read_bounded(opened, most_bytes)
    finally:
        os.close(opened)
    if content is None:
        raise too_large_file(path)
    return status, content


def read_bounded(descriptor: int, most_bytes: int) -> bytes | None:
    """Read a file to its end; None where it has more than `most_bytes`, or no end."""
    if os.fstat(descriptor).st_size > most_bytes:
        return None
    parts: list[bytes] = []
    left = most_bytes + 1
    try:
        while left > 0 and (part := os.read(descriptor, min(left, 1 << 20))):
            parts.append(part)
            left -= len(part)
    except BlockingIOError:  # what the kernel writes on and on, such as `/proc/kmsg`, has no end
        return None
    return b"".join(parts) if left > 0 else None


def read_plain(path: Path, most_bytes: int) -> bytes:
    """Return the beginning of a plain file, or nothing: of no device and no pipe, and of nothing that is not there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return b""
    try:
        status = os.fstat(descriptor)
        # The kernel has regular files, too, that never end or whose reading takes what others wait for; they say 0.
        is_plain = stat.S_ISREG(status.st_mode)
        return os.read(descriptor, min(most_bytes, status.st_size)) if is_plain else b""
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _openat2(root: int, path: Path) -> int:
    resolving = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
    how = _OpenHow(os.O_PATH | os.O_CLOEXEC, 0, resolving)
    while True:
        found: int = _libc.syscall(
            ctypes.c_long(SYS_OPENAT2),
            ctypes.c_int(root),
            ctypes.c_char_p(os.fsencode(path)),
            ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
        if found >= 0:
            return found
        number = ctypes.get_errno()
        # The kernel asks to try again where somebody renamed on the way.
        if number not in {errno.EINTR, errno.EAGAIN}:
            raise OSError(number, os.strerror(number), str(path))
