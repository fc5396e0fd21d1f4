"""Name what is wrong with a journal: it is damaged, cannot be used for a while, or could not be written."""

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from roas.errors import JournalDamagedError, JournalHeldError, JournalUnusableError, StateError
from roas.messages.message import said

DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


@dataclass(frozen=True, slots=True)
class WriteTrouble:
    """Describe a time in which the journal could not be written; `seconds` is its length, until writes worked again."""

    reason: str
    refused: int
    seconds: float


class Refusals:
    """Remember the writes that failed since the last that did not."""

    def __init__(self) -> None:
        self.error: StateError | None = None
        self.over: WriteTrouble | None = None
        self._since = 0.0
        self._count = 0

    def note(self, error: StateError) -> None:
        """Count one more that failed."""
        if self.error is None:
            self._since, self._count = time.monotonic(), 0
        self.error = error
        self._count += 1

    def end(self) -> None:
        """Note that one did not fail: the trouble is over."""
        if self.error is not None:
            self.over = WriteTrouble(self.error.message, self._count, time.monotonic() - self._since)
            self.error = None


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether SQLite cannot make sense of the file: no fault of the disk's that may pass."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in DAMAGED


def damage(path: Path, text: str) -> JournalDamagedError:
    """Return the error that says that a journal is damaged, and how to bring it back."""
    return JournalDamagedError(
        said("The journal {path} is damaged: {text}", path=path.name, text=text),
        hint=said(
            "`roas restore`, run where the bot runs, puts the newest whole copy in its place, and the bot goes on by "
            "that."
        ),
    )


def is_moved(error: Exception) -> bool:
    """Return whether SQLite sees that what it has open is not at its path any more; it calls that read-only."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_READONLY_DBMOVED


def refusal(path: Path, error: Exception) -> JournalUnusableError:
    """Return the error that says why a journal cannot be used now; that may pass."""
    if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
        return JournalHeldError(
            said("The journal {path} is locked by another process, which does not release it.", path=path.name),
            hint=said(
                "Find the process that hangs or was stopped (`fuser {path}`), then resume it, or end it.", path=path
            ),
        )
    return JournalUnusableError(
        said("The journal {path} cannot be used: {error}", path=path.name, error=str(error) or type(error).__name__),
        hint=said("Check that {parent} exists, is writable and has free space.", parent=path.parent),
    )
