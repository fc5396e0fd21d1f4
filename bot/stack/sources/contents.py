"""Keep the content of configuration files once, under its hash, so that a release brings exactly that content back."""

import hashlib
import hmac
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePath

from roas.stack.sources.opening import read_regular
from roas.stack.sources.trees import PERMISSIONS, Bounds, Tree
from roas.stack.sources.withheld import NOTHING_WITHHELD, Withheld

FOLDER_MODE = 0o700
INLINE_MODE = 0o444
# What is bigger is data rather than configuration.
MOST_BYTES = 64 << 20
MOST_FILES = 10_000
MOST_DEPTH = 128
MOST_SECRET_BYTES = 4 << 20
# What is kept of a secret is known by its name, wherever a container has it.
SECRET_PREFIX = "secret-"  # noqa: S105 - a part of a name
EVERYBODY = 0o444


KEPT = re.compile(rf"(?:{SECRET_PREFIX})?[0-9a-f]{{64}}")


def is_kept(source: str) -> bool:
    """Return whether what is bound is a content that is kept, by its name."""
    return KEPT.fullmatch(PurePath(source).name) is not None


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
        tree = Tree(source, beneath, withheld, Bounds(MOST_BYTES, MOST_FILES, MOST_DEPTH))
        kept = self.folder / tree.take()
        return self._keep(tree) if write and not kept.exists() else self._used(kept)

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

        The links of the path are resolved already. Raises ComposeFileError for what is too large or no regular file,
        OSError.
        """
        status, content = read_regular(source, source, beneath, MOST_SECRET_BYTES)
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

    def _keep(self, tree: Tree) -> Path:
        """Copy first and name by what was copied: the source may change meanwhile."""
        temporary = self._temporary()
        try:
            return self._settle(temporary, tree.take(temporary))
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


def _flush(path: Path) -> None:
    for entry in path.rglob("*") if path.is_dir() else [path]:
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
