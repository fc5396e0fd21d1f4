"""Keep the content of configuration files once, under its hash, so that a release brings exactly that content back."""

import hashlib
import hmac
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from roas.stack.sources.opening import held, open_regular, read_bounded
from roas.stack.sources.withheld import NOTHING_WITHHELD, Withheld

FOLDER_MODE = 0o700
INLINE_MODE = 0o444
PERMISSIONS = 0o777
# What is bigger is data rather than configuration.
MOST_BYTES = 64 << 20
MOST_FILES = 10_000
MOST_DEPTH = 128
MOST_SECRET_BYTES = 4 << 20
# What is kept of a secret is known by its name, wherever a container has it.
SECRET_PREFIX = "secret-"  # noqa: S105 - a part of a name
EVERYBODY = 0o444


class TooLargeError(Exception):
    """A folder or file is too large, or too deep, to be kept with a release."""


class ContentStore:
    """Keep files and folders below one folder, each named by the hash of content, names and modes.

    The names of secrets are hashed with `key`, so that nobody can guess what they hold.
    """

    def __init__(self, folder: Path, key: Callable[[], bytes] = bytes) -> None:
        self.folder = folder
        self._key = key

    def place(
        self, source: Path, *, write: bool, beneath: Path = Path("/"), withheld: Withheld = NOTHING_WITHHELD
    ) -> Path:
        """Return where a file's or folder's content is kept; with `write`, keep it. What is `withheld` is left out.

        The links of the path are resolved already; what is replaced by one meanwhile is not followed. Raises
        TooLargeError, ComposePolicyError, OSError.
        """
        hidden = withheld.found_in(source, MOST_FILES)
        withheld.refuse_found(source, hidden)
        _refuse_large(source, hidden)
        kept = self.folder / content_hash(source, hidden)
        return self._keep(source, beneath, hidden) if write and not kept.exists() else self._used(kept)

    def place_text(self, text: str, *, write: bool) -> Path:
        """Return where a text is kept, as a file that everybody may read; with `write`, keep it."""
        digest = hashlib.sha256(b"inline\0" + text.encode(errors="surrogateescape")).hexdigest()
        kept = self.folder / digest
        if not write or kept.exists():
            return self._used(kept)
        temporary = self._temporary()
        temporary.write_bytes(text.encode(errors="surrogateescape"))
        temporary.chmod(INLINE_MODE)
        return self._settle(temporary, digest)

    def place_kept(self, name: str) -> Path:
        """Return where a content is kept already. Raises FileNotFoundError."""
        kept = self.folder / name
        kept.lstat()
        return self._used(kept)

    def place_secret(
        self, source: Path, *, write: bool, beneath: Path = Path("/"), withheld: Withheld = NOTHING_WITHHELD
    ) -> Path:
        """Return where a secret's file is kept; with `write`, keep it, with the owner and the mode that it has.

        The links of the path are resolved already. Raises ComposeFileError for what is no regular file,
        TooLargeError, OSError.
        """
        with held(source, beneath) as descriptor:
            opened = open_regular(descriptor, source)
        try:
            status, content = os.fstat(opened), read_bounded(opened, MOST_SECRET_BYTES)
        finally:
            os.close(opened)
        if content is None:
            raise TooLargeError(str(source))
        withheld.refuse(source, content)
        head = f"secret\0{status.st_uid}:{status.st_gid}:{status.st_mode & PERMISSIONS:o}\0".encode()
        name = SECRET_PREFIX + hmac.digest(self._key(), head + content, "sha256").hex()
        kept = self.folder / name
        if not write or kept.exists():
            return self._used(kept)
        temporary = self._temporary()
        try:
            with open(temporary, "xb", opener=_open_private) as file:
                file.write(content)
            _give(temporary, status)
            return self._settle(temporary, name)
        finally:
            discard(temporary)

    def clear(self, is_needed: Callable[[str], bool], older_than_seconds: float) -> None:
        """Remove the contents that nothing needs and that were not used lately."""
        before = time.time() - older_than_seconds  # files have wall clock times
        for kept in self.folder.iterdir() if self.folder.is_dir() else ():
            if kept.lstat().st_mtime < before and not is_needed(kept.name.partition(".")[0] or kept.name):
                discard(kept)

    def _keep(self, source: Path, beneath: Path, hidden: frozenset[Path]) -> Path:
        """Copy first and name by what was copied: the source may change meanwhile."""
        temporary = self._temporary()
        try:
            _copy(source, temporary, beneath, hidden)
            return self._settle(temporary, content_hash(temporary))
        finally:
            discard(temporary)

    def _settle(self, temporary: Path, digest: str) -> Path:
        kept = self.folder / digest
        _flush(temporary)
        if not kept.exists():
            with suppress(OSError):  # another process was first; its content is the same
                temporary.rename(kept)
        _flush_folder(self.folder)
        return kept

    def _temporary(self) -> Path:
        self.folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        return self.folder / f".new-{secrets.token_hex(8)}"

    def _used(self, kept: Path) -> Path:
        """Mark a content as just used, so that it is not removed before a release refers to it."""
        with suppress(OSError):
            os.utime(kept, follow_symlinks=False)
        return kept


def content_hash(source: Path, hidden: frozenset[Path] = frozenset()) -> str:
    """Hash a file, or a folder with all that is in it: content, names, modes, links.

    Not owners: who is not root cannot keep them, and all who share a store must call a content by the same name.
    """
    digest = hashlib.sha256()
    for path in _entries(source, hidden):
        status = path.lstat()
        name = "" if path == source else path.relative_to(source).as_posix()
        head = (name, f"{stat.S_IFMT(status.st_mode) | status.st_mode & PERMISSIONS:o}", _body(path, status))
        digest.update("\0".join(head).encode(errors="surrogateescape") + b"\n")
    return digest.hexdigest()


def _body(path: Path, status: os.stat_result) -> str:
    if stat.S_ISLNK(status.st_mode):
        return str(path.readlink())
    if stat.S_ISDIR(status.st_mode):
        return ""
    with open(path, "rb", opener=_open_at_once) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting, should it have become a pipe, and no link."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _give(path: Path, status: os.stat_result) -> None:
    """Give a copy the owner and the mode of the original.

    Who is not root can give nothing away. The user of a container who was the original's owner then reads the copy as
    everybody does in there: on the host, the folder lets nobody through.
    """
    mode = status.st_mode & PERMISSIONS
    own = path.stat()
    if (own.st_uid, own.st_gid) != (status.st_uid, status.st_gid):
        try:
            os.chown(path, status.st_uid, status.st_gid)
        except PermissionError:
            mode |= EVERYBODY
    path.chmod(mode)


def _entries(source: Path, hidden: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Walk in a fixed order over what can be kept: sockets and devices cannot. Raises TooLargeError."""
    yield from _below(source, 0, hidden)


def _below(source: Path, depth: int, hidden: frozenset[Path]) -> Iterator[Path]:
    yield source
    if source.is_symlink() or not source.is_dir():
        return
    if depth >= MOST_DEPTH:
        raise TooLargeError(str(source))
    for path in sorted(source.iterdir()):
        if path not in hidden and (path.is_symlink() or path.is_dir() or path.is_file()):
            yield from _below(path, depth + 1, hidden)


def _refuse_large(source: Path, hidden: frozenset[Path]) -> None:
    size = 0
    for count, path in enumerate(_entries(source, hidden)):
        size += path.lstat().st_size
        if size > MOST_BYTES or count > MOST_FILES:
            raise TooLargeError(str(source))


def _copy(source: Path, target: Path, beneath: Path, hidden: frozenset[Path]) -> None:
    for path in _entries(source, hidden):
        place = target / path.relative_to(source)
        if path.is_symlink():
            place.symlink_to(path.readlink())
        elif path.is_dir():
            place.mkdir(mode=0o700)
        else:
            _copy_file(path, place, beneath)
    for path in _entries(source, hidden):  # modes last: a folder may be read-only
        _copy_status(path, target / path.relative_to(source))


def _copy_file(path: Path, place: Path, beneath: Path) -> None:
    with held(path, beneath) as descriptor:
        opened = open_regular(descriptor, path)
    try:
        content = read_bounded(opened, MOST_BYTES)
    finally:
        os.close(opened)
    if content is None:
        raise TooLargeError(str(path))
    place.write_bytes(content)


def _copy_status(source: Path, target: Path) -> None:
    status = source.lstat()
    with suppress(PermissionError):  # only root may change the owner of a file; it then stays ours
        os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
    if not source.is_symlink():
        target.chmod(stat.S_IMODE(status.st_mode))


def _flush(path: Path) -> None:
    for entry in _entries(path):
        if entry.is_file() and not entry.is_symlink():
            with entry.open("rb") as file:
                os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def discard(temporary: Path) -> None:
    """Remove a file or a folder, read-only ones in it too."""
    if temporary.is_dir() and not temporary.is_symlink():
        for folder, _, _ in os.walk(temporary):
            Path(folder).chmod(FOLDER_MODE)
        shutil.rmtree(temporary, ignore_errors=True)
    else:
        temporary.unlink(missing_ok=True)
