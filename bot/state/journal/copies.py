"""Keep verified copies of the journal beside it, and bring one back."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from roas.errors import InvalidRequestError, StateError
from roas.messages.message import said
from roas.state.journal.journal import is_damage
from roas.state.journal.place import SUFFIXES
from roas.state.schema import IDENTITY, choose, give_identity, migrate, read_choice

FOLDER_NAME = "backups"
FOLDER_MODE = 0o700
COPY_MODE = 0o600
KEPT = 7
EVERY = timedelta(days=1)
NAMES = "journal-*.sqlite3"
TIME = "%Y%m%dT%H%M%SZ"
UNFINISHED = ".part"
# A copy is only made where the journal itself still has room after it.
ROOM_LEFT_BYTES = 64_000_000


class DamagedCopyError(StateError):
    """A copy of the journal, or the journal that it was made of, is not whole."""

    key = "damaged_copy"


@dataclass(frozen=True, slots=True)
class Backup:
    """Describe one copy: its file, and when it was made."""

    path: Path
    made_at: datetime


class Backups:
    """Make and find the copies of one journal. Everything here blocks: call it in a thread."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self.folder = journal.parent / FOLDER_NAME

    def all(self) -> tuple[Backup, ...]:
        """Return the copies, newest first."""
        return tuple(sorted(self._find(), key=lambda backup: backup.made_at, reverse=True))

    def is_due(self, now: datetime | None = None) -> bool:
        """Return whether the newest copy is a day old; those from a clock that was ahead say nothing."""
        now = datetime.now(UTC) if now is None else now
        newest = max((copy.made_at for copy in self._find() if copy.made_at <= now), default=None)
        return newest is None or now - newest >= EVERY

    def make(self, now: datetime | None = None) -> Backup:
        """Copy the journal with SQLite's online backup, verify the copy, and drop those beyond the last seven.

        Raises DamagedCopyError, StateError.
        """
        with _faults(said("No copy of the journal could be made")):
            return self._make(now)

    def _make(self, now: datetime | None) -> Backup:
        now = (datetime.now(UTC) if now is None else now).replace(microsecond=0)
        self.folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        self._require_room()
        backup = Backup(self.folder / f"journal-{now:{TIME}}.sqlite3", now)
        part = backup.path.with_name(backup.path.name + UNFINISHED)
        try:
            with closing(sqlite3.connect(f"{self._journal.as_uri()}?mode=rw", uri=True)) as journal:
                _copy(journal, part)
            verify(part)
            part.replace(backup.path)
        finally:
            part.unlink(missing_ok=True)
        _sync(self.folder)
        made = self.all()
        ahead = [copy for copy in made if copy.made_at > now]  # else it would pass for the newest until that day
        for old in [*ahead, *[copy for copy in made if copy not in ahead][KEPT:]]:
            old.path.unlink(missing_ok=True)
        return backup

    def rescue(self, held: sqlite3.Connection, journal_id: str, folder: Path) -> Backup | None:
        """Copy a lost journal from the process that has it open still; None where that has nothing whole of it.

        The copy is made below `folder`, the state folder as this process opened it. Raises StateError.
        """
        now = datetime.now(UTC).replace(microsecond=0)
        with _faults(said("No copy of the journal could be made")):
            copies = folder / FOLDER_NAME
            copies.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            backup = Backup(copies / f"journal-{now:{TIME}}.sqlite3", now)
            part = backup.path.with_name(backup.path.name + UNFINISHED)
            try:
                _copy(held, part)
                if verify(part) != journal_id:
                    return None
                part.replace(backup.path)
            except DamagedCopyError:
                return None
            finally:
                part.unlink(missing_ok=True)
            _sync(copies)
            return backup

    def restore(self, backup: Backup | None) -> Path | None:
        """Put a copy, or an empty journal, in the journal's place; returns the name of the old one, kept beside it.

        No process may have the journal open. Plans that waited for a yes are dropped: it may have been given since.
        Raises DamagedCopyError, StateError.
        """
        with _faults(said("The journal could not be restored")):
            return self._restore(backup)

    def _restore(self, backup: Backup | None) -> Path | None:
        part = self._journal.with_name(self._journal.name + UNFINISHED)
        part.unlink(missing_ok=True)
        had_journal = self._journal.exists()
        try:
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, COPY_MODE))
            if backup is not None:
                shutil.copyfile(backup.path, part)
                verify(part)
            with closing(sqlite3.connect(part, isolation_level=None)) as copy:
                copy.execute("PRAGMA synchronous = FULL")
                migrate(copy)
                give_identity(copy)
                choose(copy)
                copy.execute("DELETE FROM proposals WHERE ended = 0")
            _sync(part)
            aside = f"{self._journal.name}.replaced-{datetime.now(UTC):{TIME}}"
            for suffix in reversed(SUFFIXES):  # a -wal beside another journal would be read into it
                old, kept = (self._journal.with_name(name + suffix) for name in (self._journal.name, aside))
                with suppress(FileNotFoundError):
                    # The journal's own name is never without a file: a bot that starts now would begin an empty one.
                    old.rename(kept) if suffix else kept.hardlink_to(old)
            part.replace(self._journal)
        finally:
            part.unlink(missing_ok=True)
        _sync(self._journal.parent)
        return self._journal.with_name(aside) if had_journal else None

    def keep(self) -> None:
        """Choose the journal that is there. No process may have it open. Raises StateError."""
        with (
            _faults(said("The journal could not be kept")),
            closing(sqlite3.connect(f"{self._journal.as_uri()}?mode=rw", uri=True, isolation_level=None)) as journal,
        ):
            choose(journal)

    def newest_whole(self) -> Backup:
        """Return the newest copy that is whole. Raises InvalidRequestError where there is none."""
        for backup in self.all():
            with suppress(DamagedCopyError, OSError):
                verify(backup.path)
                return backup
        raise InvalidRequestError(
            said("There is no whole copy of the journal in {folder}.", folder=self.folder),
            hint=said(
                "If the disk of the state folder is not mounted, mount it. Without a copy, `roas restore --new` begins "
                "a new journal: the bot adopts what runs."
            ),
        )

    def _find(self) -> Iterator[Backup]:
        for path in self.folder.glob(NAMES):
            with suppress(ValueError):
                made_at = datetime.strptime(path.stem.removeprefix("journal-"), TIME).replace(tzinfo=UTC)
                yield Backup(path, made_at)

    def _require_room(self) -> None:
        needed = self._journal.stat().st_size + ROOM_LEFT_BYTES
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise StateError(
                said(
                    "There is no room for a copy of the journal: {free} MB are free below STATE_DIR.",
                    free=free // 1_000_000,
                ),
                hint=said("Free {megabytes} MB there.", megabytes=(needed - free) // 1_000_000 + 1),
            )


@contextmanager
def _faults(what: str) -> Iterator[None]:
    """Turn what the disk and SQLite say into our own error."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        if isinstance(error, sqlite3.Error) and is_damage(error):
            raise DamagedCopyError(said("{what}: {error}", what=what, error=error)) from error
        raise StateError(
            said("{what}: {error}", what=what, error=error),
            hint=said("Check that {folder} is writable for this user and has free space.", folder="STATE_DIR"),
        ) from error


def verify(path: Path) -> str:
    """Check that a file is a whole journal; returns its id. Raises DamagedCopyError."""
    return _verify(path, f"{path.as_uri()}?mode=ro&immutable=1")


def _verify(path: Path, address: str) -> str:
    try:
        with closing(sqlite3.connect(address, uri=True)) as copy:
            found = [str(row[0]) for row in copy.execute("PRAGMA integrity_check(3)").fetchall()]
            row = copy.execute("SELECT document FROM projections WHERE name = ?", (IDENTITY,)).fetchone()
    except sqlite3.DatabaseError as error:
        raise DamagedCopyError(said("{path} is not whole: {reason}", path=path.name, reason=error)) from error
    if found != ["ok"] or row is None:
        raise DamagedCopyError(
            said(
                "{path} is not whole: {reason}",
                path=path.name,
                reason="; ".join(found) if row else said("it is not a journal"),
            )
        )
    return str(row[0])


def verify_in_use(journal: Path) -> str:
    """Check that a journal which may have a -wal file is whole; returns its id.

    Raises DamagedCopyError, StateError.
    """
    with _faults(said("The journal could not be read")):
        if not journal.exists():
            raise DamagedCopyError(said("There is no such file: {names}.", names=journal.name))
        return _verify(journal, f"{journal.as_uri()}?mode=rw")


def choice_at(journal: Path) -> str | None:
    """Return by which choice of a person a whole journal is at a path; None where there is none that can be read."""
    try:
        with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)) as connection:
            return read_choice(connection)
    except sqlite3.Error:
        return None


def _copy(journal: sqlite3.Connection, target: Path) -> None:
    """Copy all pages as of one moment; writers go on meanwhile.

    Whoever has a journal open last takes its -wal file in, and cannot do that where it may only read.
    """
    target.unlink(missing_ok=True)
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, COPY_MODE))
    with closing(sqlite3.connect(target)) as copy:
        journal.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, without -wal and -shm beside it
    _sync(target)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
