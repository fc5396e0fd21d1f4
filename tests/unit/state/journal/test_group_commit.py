"""Writes of the same moment share a commit, and none of them knows of the others."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from roas.errors import FencedOffError, JournalUnusableError
from roas.models.state_change import ChangeType, StateChange
from roas.state.journal.journal import Journal
from roas.state.transaction import Fence, Transaction

MANY = 20


@pytest.fixture
def announced() -> list[StateChange]:
    return []


@pytest.fixture
async def journal(tmp_path: Path, announced: list[StateChange]) -> AsyncIterator[Journal]:
    opened = Journal(tmp_path / "journal.sqlite3", "INST-1", announced.append)
    await opened.open()
    yield opened
    await opened.close()


def writing(subject: str, size: int = 0):
    def work(transaction: Transaction) -> str:
        transaction.add_change(
            StateChange(ChangeType.SERVICE_PROGRESSED, "test", subject=subject, metadata={"filler": "x" * size})
        )
        if subject == "broken":  # after it has written
            raise ZeroDivisionError
        return subject

    return work


def subjects(path: Path) -> list[str]:
    with sqlite3.connect(path) as other:
        return [row[0] for row in other.execute("SELECT subject FROM changes ORDER BY rowid")]


async def test_writes_of_one_moment_share_a_commit(
    journal: Journal, announced: list[StateChange], tmp_path: Path
) -> None:
    statements: list[str] = []
    assert journal._connection is not None
    journal._connection.set_trace_callback(statements.append)
    names = [str(number) for number in range(MANY)]
    results = await asyncio.gather(*(journal.write(writing(name)) for name in names))
    assert results == names
    assert statements.count("COMMIT") <= 2
    assert subjects(tmp_path / "journal.sqlite3") == names == [change.subject for change in announced]


async def test_failed_write_undoes_itself_alone(journal: Journal, announced: list[StateChange], tmp_path: Path) -> None:
    stale = Fence("dev", 7)
    results = await asyncio.gather(
        journal.write(writing("one")),
        journal.write(writing("two")),
        journal.write(writing("broken")),
        journal.write(writing("fenced off"), fence=stale),
        journal.write(writing("last")),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [str, str, ZeroDivisionError, FencedOffError, str]
    assert subjects(tmp_path / "journal.sqlite3") == ["one", "two", "last"]
    assert [change.subject for change in announced] == ["one", "two", "last"]


async def test_full_disk_fails_what_shares_a_commit(
    journal: Journal, announced: list[StateChange], tmp_path: Path
) -> None:
    assert journal._connection is not None
    pages = journal._connection.execute("PRAGMA page_count").fetchone()[0]
    journal._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    results = await asyncio.gather(
        *(journal.write(writing(str(number), size=4000)) for number in range(MANY)), return_exceptions=True
    )
    kept = [result for result in results if isinstance(result, str)]
    assert {type(result) for result in results} <= {str, JournalUnusableError}
    assert len(kept) < MANY
    assert subjects(tmp_path / "journal.sqlite3") == kept == [change.subject for change in announced]
    journal._connection.execute("PRAGMA max_page_count = 1000000")
    assert await journal.write(writing("after")) == "after"


async def test_write_counts_although_its_caller_left(journal: Journal, tmp_path: Path) -> None:
    writes = [asyncio.ensure_future(journal.write(writing(str(number)))) for number in range(3)]
    await asyncio.sleep(0)
    writes[1].cancel()
    await asyncio.gather(*writes, return_exceptions=True)
    await journal.close()
    assert subjects(tmp_path / "journal.sqlite3") == ["0", "1", "2"]
