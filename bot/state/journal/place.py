"""Notice that the journal which is open is not the one at its path any more: deleted, replaced, or overwritten.

An open file outlives its name. A bot that went on with it would lead beside one that opens what lies at the path by
then. What is compared: the three files of the journal, by number, before each transaction; and at each beat the
source of the mount that they lie in, and what is read of them again.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from roas.errors import JournalLostError
from roas.messages.message import said
from roas.state.schema import IDENTITY
from roas.temporary import temporary_folder

# What SQLite keeps beside a journal while a process has it open.
SHARED_MEMORY = "-shm"
SUFFIXES = ("", "-wal", SHARED_MEMORY)
MOUNT_TABLE = Path("/proc/self/mountinfo")
# A mount of all of a file system: nobody can move or delete that on the host.
WHOLE = "/"
# What a reading meets in what is no journal: a table that is missing, or no database at all. The rest passes.
OVERWRITTEN = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
HINT = said(
    "`roas restore`, run where this bot runs, puts the newest copy in its place, and the bot goes on by that. Or put "
    "the original journal back, with its -wal and -shm files, and restart this bot."
)


class JournalPlace:
    """Remember which files were opened, and compare them with those at the path now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # As texts: they are looked at before and after each transaction.
        self._paths = {suffix: str(path.with_name(f"{path.name}{suffix}")) for suffix in SUFFIXES}
        self._files: dict[str, tuple[int, int] | None] = {}
        self._mount = ""
        self._mount_table = b""

    def remember(self) -> None:
        """Record which files are open. Raises OSError, JournalLostError."""
        self._files = {suffix: _number(found) for suffix, found in self._found().items()}
        self._mount_table = _read_mount_table()
        self._mount = _mount_source(self._path.parent, self._mount_table)

    def check(self) -> None:
        """Raise JournalLostError where other files lie at the path than were opened, or none."""
        found = self._found()
        for suffix, number in self._files.items():
            now = _number(found[suffix])
            name = f"{self._path.name}{suffix}"
            if now != number:
                raise _lost(name)

    def check_folder(self) -> None:
        """Raise JournalLostError where the folder that is mounted here has another name on the host, or none."""
        if self._mount == WHOLE:
            return
        table = _read_mount_table()
        if table == self._mount_table:
            return
        if _mount_source(self._path.parent, table) != self._mount:
            raise moved(self._path)
        self._mount_table = table

    def check_content(
        self, connection: sqlite3.Connection, journal_id: str, instance_id: str, last_beat: str | None
    ) -> None:
        """Raise JournalLostError where what is read again is another journal, or not the last beat of this process.

        `last_beat` is its row as it was written last; None where none was.
        """
        try:
            found, beat = self._read(connection, instance_id)
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF not in OVERWRITTEN:
                return
            raise self._overwritten() from error
        if found != journal_id or (last_beat is not None and beat != last_beat):
            raise self._overwritten()

    def _read(self, connection: sqlite3.Connection, instance_id: str) -> tuple[str | None, str | None]:
        """Return the id and the last beat that lie in the files, whatever was read of them before.

        By the open connection, which gives up all that it keeps of them: a new one would read the schema first, ten
        times the work. And not by opening the file as such: closing it would drop SQLite's locks on it.
        """
        connection.execute("PRAGMA shrink_memory")
        found = connection.execute("SELECT document FROM projections WHERE name = ?", (IDENTITY,)).fetchone()
        beat = connection.execute("SELECT document FROM heartbeats WHERE instance_id = ?", (instance_id,)).fetchone()
        return (found[0] if found else None), (beat[0] if beat else None)

    def _found(self) -> dict[str, os.stat_result | None]:
        """Return what lies at the paths now."""
        return {suffix: _status(path) for suffix, path in self._paths.items()}

    def _overwritten(self) -> JournalLostError:
        return _lost(self._path.name)


def moved(path: Path) -> JournalLostError:
    """Return the error that says that a journal is not at its path any more."""
    return _lost(said("The folder of {path}", path=path.name))


def _lost(what: str) -> JournalLostError:
    text = said(
        "{what} was deleted, moved or overwritten while this bot was running; the bot has stopped acting.", what=what
    )
    return JournalLostError(text, hint=HINT)


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116
    except FileNotFoundError:
        return None


def _number(status: os.stat_result | None) -> tuple[int, int] | None:
    return None if status is None else (status.st_dev, status.st_ino)


def _read_mount_table() -> bytes:
    """Return the mounts of this process as the kernel lists them; empty if it does not say."""
    try:
        return MOUNT_TABLE.read_bytes()
    except OSError:
        return b""


def _mount_source(folder: Path, table: bytes) -> str:
    """Return where the mount that a folder lies in comes from, by its name of this moment; empty if that is not said.

    The kernel shows a bound folder under the name that it has by now, `…//deleted` where it has none.
    """
    mounts = [fields for line in table.decode(errors="replace").splitlines() if len(fields := line.split(None, 5)) > 4]
    above = [(len(point), fields[3]) for fields in mounts if _is_above(point := _plain(fields[4]), f"{folder}/")]
    _length, source = max(above, key=lambda mount: mount[0], default=(0, ""))
    return _plain(source)


def _is_above(point: str, folder: str) -> bool:
    """Return whether a folder, with a slash at its end, lies at or below a place: as text, since mounts may be many."""
    return folder.startswith(point if point.endswith("/") else f"{point}/")


def _plain(field: str) -> str:
    """Undo the escapes of the mount table."""
    return (
        field
        if "\\" not in field
        else field.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
    )


JOURNAL_NAME = "journal.sqlite3"


def has_journal(folder: Path) -> bool:
    """Return whether a state folder holds a journal; what cannot be looked into may hold one."""
    try:
        (folder / JOURNAL_NAME).stat()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


@contextmanager
def folder_of_journal(folder: Path, *, read_only: bool) -> Iterator[Path]:
    """Yield a state folder; to who `read_only` where it has no journal, another one that is gone afterwards."""
    if not read_only or has_journal(folder.expanduser()):
        yield folder
        return
    with temporary_folder("look") as empty:
        yield empty
