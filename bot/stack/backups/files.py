"""Keep backups as files below the state folder: written beside, hashed, and named once they are whole."""

import errno
import hashlib
import os
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import IO, Any

from roas.errors import BackupError, cannot_read
from roas.messages.message import said
from roas.models.backup import DataBackup
from roas.models.stack import BackupRule
from roas.models.stored import moment_of
from roas.state.documents import from_json, to_json

BACKUPS = "data-backups"
FOLDER_MODE, FILE_MODE = 0o700, 0o600
OPTIONS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
UNFINISHED, RULE = ".part", ".json"
YOUNG_SECONDS = 3600.0
# So long after it was begun, no backup is under way any more.
LONGEST_SECONDS = 4 * 86_400.0
SYNC_BYTES = 64 * 1024 * 1024
# So much of the disk stays free for the journal, which is on it too: the smaller of both.
RESERVE_BYTES, RESERVE_SHARE = 1024**3, 0.05
# An id of this form names a file: nothing else does.
ALLOWED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")


@dataclass(slots=True)
class BackupWriter:
    """Take what a backup consists of, and know its size and its hash."""

    file: IO[bytes]
    path: Path
    size: int = 0
    synced: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def write(self, chunk: bytes) -> None:
        """Write more of it, and sync it in pieces. Raises BackupError where the disk is to take no more."""
        try:
            if _room(os.statvfs(self.file.fileno())) < len(chunk):
                raise not_written(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            self.file.write(chunk)
            self.digest.update(chunk)
            self.size += len(chunk)
            if self.size - self.synced >= SYNC_BYTES:
                self.sync()
        except OSError as error:
            raise not_written(error) from error

    def sync(self) -> None:
        """Wait until the disk has all of it. Raises OSError."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.synced = self.size

    def reopen(self) -> BufferedReader:
        """Return what was written, to be read before it counts. Raises BackupError."""
        try:
            self.sync()
            return self.path.open("rb")
        except OSError as error:
            raise not_written(error) from error


class BackupFiles:
    """Write, read and remove the files of backups; every method blocks, and raises BackupError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, backup_id: str) -> Path:
        """Return the file of a backup."""
        if not backup_id or not ALLOWED.issuperset(backup_id) or not moment_of(backup_id):
            raise BackupError(said("{backup} is no backup.", backup=repr(backup_id)))
        return self.folder / backup_id

    @contextmanager
    def writing(self, backup_id: str, rule: BackupRule, environment: str) -> Iterator[BackupWriter]:
        """Give a new file, which has its name once the block has ended without a fault; else it is gone.

        How it is restored is written beside it: a release may say otherwise later, or not be kept any more. That may
        hold a secret, as a model does.
        """
        path = self.path(backup_id)
        unfinished = path.with_suffix(f".{environment}{UNFINISHED}")
        try:
            self.folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            with os.fdopen(os.open(unfinished, OPTIONS, FILE_MODE), "wb") as file:
                with os.fdopen(os.open(path.with_suffix(RULE), OPTIONS, FILE_MODE), "w") as beside:
                    beside.write(to_json(rule))
                    beside.flush()
                    os.fsync(beside.fileno())
                yield (writer := BackupWriter(file, unfinished))
                writer.sync()
            for written in (unfinished, path.with_suffix(RULE)):  # it is young, however long that took
                os.utime(written)
            unfinished.rename(path)
            _sync_folder(self.folder)
        except BaseException as error:
            with suppress(OSError):
                _remove_unfinished(unfinished)
            if isinstance(error, OSError):
                raise not_written(error) from error
            raise

    def clear_unfinished(self, environment: str) -> None:
        """Remove what processes that died have left of backups of an environment, whose lock is held."""
        try:
            for unfinished in self.folder.glob(f"*.{environment}{UNFINISHED}"):
                _remove_unfinished(unfinished)
        except OSError as error:
            raise _not_removed(error) from error

    def verify(self, backup: DataBackup) -> None:
        """Read a whole backup, and raise BackupError where it is not what was written."""
        with self.reading(backup) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != backup.sha256:
            raise BackupError(
                said("{backup} is damaged: its content is not what was written.", backup=backup.id),
                hint=said("`roas backups list {environment}` lists those there are.", environment=backup.environment),
                service=backup.service,
            )

    @contextmanager
    def reading(self, backup: DataBackup) -> Iterator[BufferedReader]:
        """Open a backup."""
        try:
            with self.path(backup.id).open("rb") as file:
                yield file
        except OSError as error:
            raise BackupError(cannot_read(backup.id, error), service=backup.service) from error

    def free_bytes(self) -> int | None:
        """Return how much room there is for backups; None where that cannot be known."""
        with suppress(OSError):
            return _room(os.statvfs(self.folder if self.folder.is_dir() else self.folder.parent))
        return None

    def files_of(self, backup: DataBackup) -> tuple[Path, ...]:
        """Return what a backup consists of: its data, and how that is restored. Raises BackupError."""
        path = self.path(backup.id)
        return path, path.with_suffix(RULE)

    def rule_of(self, backup: DataBackup) -> BackupRule:
        """Return how a backup is restored: as its service said when it was made."""
        try:
            return from_json(BackupRule, self.path(backup.id).with_suffix(RULE).read_text())
        except (OSError, ValueError) as error:
            text = said("Nothing says how {backup} is restored: {reason}", backup=backup.id, reason=error)
            raise BackupError(text, service=backup.service) from error

    def clear(self, kept: Collection[str], dropped: Collection[str] = (), chosen_at: str = "") -> None:
        """Remove the files of backups that are not kept; what is younger than an hour may be about to be.

        One that is not whole yet may be under way for long, in another environment.

        What is neither kept nor `dropped`, and is from before the moment at which somebody chose this journal, may be
        known to the one in whose place it is: that stays.
        """
        if not self.folder.is_dir():
            return
        try:
            now = time.time()  # as the file system's times are
            under_way = {path.name.partition(".")[0] for path in self.folder.glob(f"*{UNFINISHED}")}
            for path in self.folder.iterdir():
                is_under_way = path.name.partition(".")[0] in under_way
                oldest = now - (LONGEST_SECONDS if is_under_way else YOUNG_SECONDS)
                is_of_another = path.stem not in dropped and moment_of(path.stem) < chosen_at
                if path.stem in kept or is_of_another or not path.is_file():
                    continue
                with suppress(FileNotFoundError):  # another environment's deployment may be at it, too
                    if path.stat().st_mtime < oldest:
                        path.unlink()
        except OSError as error:
            raise _not_removed(error) from error


def _remove_unfinished(unfinished: Path) -> None:
    """Remove a backup that is not whole, and what says how it would be restored."""
    unfinished.with_name(unfinished.name.partition(".")[0] + RULE).unlink(missing_ok=True)
    unfinished.unlink(missing_ok=True)


def _room(disk: os.statvfs_result) -> int:
    """Return how much a disk takes before its reserve."""
    return max(
        0, disk.f_bavail * disk.f_frsize - round(min(RESERVE_BYTES, RESERVE_SHARE * disk.f_blocks * disk.f_frsize))
    )


def _not_removed(error: OSError) -> BackupError:
    return BackupError(said("Old backups cannot be removed: {reason}", reason=error.strerror or error))


def not_written(error: OSError) -> BackupError:
    """Return the error for a disk that does not take a backup."""
    return BackupError(
        said("it could not be written: {reason}", reason=error.strerror or error),
        hint=said("Make room below STATE_DIR, or keep fewer backups (`x-deploy.backup.keep`)."),
    )


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
