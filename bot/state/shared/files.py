"""Name the files of the state folder that releases need, and pack each so that another machine has the same."""

import hashlib
import io
import os
import secrets
import stat
import tarfile
from contextlib import suppress
from pathlib import Path

KEY, MODELS, CONTENTS, HOLDERS = "secret_key", "models", "contents", ".held"
UNFINISHED = ".new-"
FOLDER_MODE = 0o700
# What the digest of an empty file is called: it is not kept anywhere.
EMPTY = ""
# With what is before and after it, a name has at most the 64 characters that Swarm takes.
DIGEST_CHARACTERS = 28


def find_files(folder: Path) -> frozenset[str]:
    """Return the paths of what releases need; each is written once, under a name that its content never changes."""
    found = {KEY} if (folder / KEY).exists() else set()
    for name in (MODELS, CONTENTS):
        for entry in _entries(folder / name):
            if entry.name.endswith(HOLDERS):
                found |= {f"{name}/{entry.name}/{holder.name}" for holder in _entries(Path(entry.path))}
            else:
                found.add(f"{name}/{entry.name}")
    return frozenset(found)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return [entry for entry in os.scandir(folder) if not entry.name.startswith(UNFINISHED)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def pack(folder: Path, path: str) -> bytes:
    """Return a file, or a folder with all that is in it, with modes and owners; nothing for an empty file."""
    place = folder / path
    if place.is_file() and not place.is_symlink() and not place.stat().st_size:
        return b""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(place, arcname="it")
    return packed.getvalue()


def digest_of(path: str, packed: bytes) -> str:
    """Return what a packed file is called."""
    return hashlib.sha256(path.encode() + b"\0" + packed).hexdigest()[:DIGEST_CHARACTERS] if packed else EMPTY


def unpack(folder: Path, path: str, packed: bytes) -> None:
    """Write a file that was packed elsewhere, whole or not at all."""
    place = folder / path
    place.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    if not packed:
        place.touch(mode=0o600)
        return
    temporary = place.parent / f"{UNFINISHED}{secrets.token_hex(8)}"
    temporary.mkdir(mode=FOLDER_MODE)
    try:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            # `filter="fully_trusted"`, which Python knows since 3.11.4 only: Debian 12 has 3.11.2.
            archive.extraction_filter = lambda member, _path: member
            archive.extractall(temporary)  # noqa: S202 - sealed by a bot of ours
        _move(temporary / "it", place)
    finally:
        discard(temporary)


def _move(made: Path, place: Path) -> None:
    """Put what was unpacked in its place; where it is there already, it is never another. Raises OSError."""
    mode = made.lstat().st_mode
    if stat.S_ISDIR(mode):
        made.chmod(stat.S_IMODE(mode) | FOLDER_MODE)  # a folder that is read-only is moved by nobody but root
    try:
        made.rename(place)
    except OSError:
        if not place.exists():
            raise
        return
    if stat.S_ISDIR(mode):
        place.chmod(stat.S_IMODE(mode))


def discard(place: Path) -> None:
    """Remove a file or a folder, read-only ones in it too; what is gone is no error."""
    if place.is_dir() and not place.is_symlink():
        place.chmod(FOLDER_MODE)
        for entry in place.iterdir():
            discard(entry)
        place.rmdir()
    else:
        place.unlink(missing_ok=True)


def remove(folder: Path, path: str) -> None:
    """Remove what is needed no more, and the folder of its holders with the last of them."""
    place = folder / path
    discard(place)
    if place.parent.name.endswith(HOLDERS):
        with suppress(OSError):
            place.parent.rmdir()
