"""Let who only looks find an empty journal where there is none, and leave nothing behind."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from roas.temporary import temporary_folder

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
def folder_of_journal(folder: Path, *, only_looks: bool) -> Iterator[Path]:
    """Yield a state folder; to who `only_looks` where it has no journal, another one that is gone afterwards."""
    if not only_looks or has_journal(folder.expanduser()):
        yield folder
        return
    with temporary_folder("look") as empty:
        yield empty
