"""The journal has verified copies beside it, a damaged journal is named, and a copy brings it back."""

import asyncio
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from roas.errors import InvalidRequestError, JournalDamagedError, JournalLostError
from roas.models.leader_lease import Heartbeat
from roas.state.journal import copies as backups
from roas.state.journal.copies import KEPT, DamagedCopyError, verify
from roas.state.journal.place import JOURNAL_NAME
from roas.state.manager import StateManager
from tests.unit.state.journal.journal_work import deploy, write

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
PAGE = 4096


def lose_half(journal: Path) -> None:
    """Write zeros over every second page but the first, as a disk that lost them."""
    with sqlite3.connect(journal) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    with journal.open("r+b") as file:
        for page in range(1, journal.stat().st_size // PAGE, 2):
            file.seek(page * PAGE)
            file.write(b"\0" * PAGE)


async def open_whole(state: StateManager) -> None:
    await state.open()
    await state.check_whole()


async def test_copy_holds_what_was_committed(tmp_path: Path) -> None:
    """A transaction that another process has open hinders it as little as one that only lies in the -wal file."""
    async with StateManager(tmp_path / "state") as state:
        done = await deploy(state)
        with closing(sqlite3.connect(state.folder / "journal.sqlite3")) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("INSERT INTO fences VALUES ('open', 1)")
            copy = state.backups.make(NOON)
        assert verify(copy.path) == state.journal_id
    assert copy.path.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in copy.path.parent.iterdir()] == ["journal-20260504T120000Z.sqlite3"]
    with closing(sqlite3.connect(copy.path)) as read:
        assert read.execute("SELECT id FROM deployments").fetchall() == [(done.id,)]
        assert read.execute("SELECT count(*) FROM fences WHERE name = 'open'").fetchone() == (0,)


async def test_journal_that_is_closed_while_it_is_copied_is_closed_by_the_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who stops the bot in that moment finds one file, as after any stop."""
    copied, goes_on = threading.Event(), threading.Event()

    class Slow(sqlite3.Connection):
        def backup(self, *arguments: Any, **options: Any) -> None:
            super().backup(*arguments, **options)
            copied.set()
            goes_on.wait(10)

    connect = partial(sqlite3.connect, factory=Slow)
    monkeypatch.setattr(backups, "sqlite3", SimpleNamespace(**vars(sqlite3) | {"connect": connect}))
    async with StateManager(tmp_path / "state") as state:
        await deploy(state)
        making = asyncio.create_task(asyncio.to_thread(state.backups.make))
        assert await asyncio.to_thread(copied.wait, 10)
    goes_on.set()
    await making
    assert [path.name for path in state.folder.glob(f"{JOURNAL_NAME}*")] == [JOURNAL_NAME]


async def test_copy_made_daily_and_seven_kept(tmp_path: Path) -> None:
    async with StateManager(tmp_path / "state") as state:
        for day in range(KEPT + 2):
            now = NOON + timedelta(days=day)
            assert state.backups.is_due(now)
            state.backups.make(now)
            assert not state.backups.is_due(now + timedelta(hours=23))
        assert [backup.made_at.day for backup in state.backups.all()] == [12, 11, 10, 9, 8, 7, 6]


async def test_copy_of_a_clock_ahead_not_newest(tmp_path: Path) -> None:
    """A clock that was a day ahead for a moment must not bring a copy each round, nor pass for the newest."""
    async with StateManager(tmp_path / "state") as state:
        for hours in (0, 24):
            state.backups.make(NOON + timedelta(hours=hours))
        later = NOON + timedelta(hours=1)
        assert not state.backups.is_due(later)
        state.backups.make(later)
        assert [backup.made_at for backup in state.backups.all()] == [later, NOON]


async def test_copy_of_damaged_journal_refused(tmp_path: Path) -> None:
    async with StateManager(tmp_path / "state") as state:
        await write(state, 300)
    lose_half(tmp_path / "state" / "journal.sqlite3")
    with pytest.raises(DamagedCopyError):
        state.backups.make(NOON)
    assert list(state.backups.folder.iterdir()) == []


@pytest.mark.parametrize("how", ["half", "garbage", "short"])
async def test_damage_named_when_opened(tmp_path: Path, how: str) -> None:
    """The words name the damage and the way back, not free space."""
    async with StateManager(tmp_path / "state") as state:
        await write(state, 300)
    journal = tmp_path / "state" / "journal.sqlite3"
    match how:
        case "half":
            lose_half(journal)
        case "garbage":
            journal.write_bytes(b"no journal at all" * 1000)
        case "short":
            journal.write_bytes(journal.read_bytes()[: 5 * PAGE])
    state = StateManager(tmp_path / "state")
    with pytest.raises(JournalDamagedError) as error:
        await open_whole(state)
    await state.close()
    assert "damaged" in error.value.message
    assert "roas restore" in error.value.hint
    assert "free space" not in error.value.hint


async def test_damage_under_running_bot_is_final(tmp_path: Path) -> None:
    async with StateManager(tmp_path / "state") as state:
        await state.ownership.beat(Heartbeat(state.instance_id, "boot", 1.0))
        await write(state, 300)
        lose_half(state.folder / "journal.sqlite3")
        with pytest.raises(JournalLostError):
            await state.check_whole()
        with pytest.raises(JournalLostError):
            await write(state, 1)
        assert state.lost is not None


async def test_restore_brings_journal_back(tmp_path: Path) -> None:
    async with StateManager(tmp_path / "state") as state:
        journal_id = state.journal_id
        done = await deploy(state)
        state.backups.make(NOON)
        await write(state, 300)
    journal = state.folder / "journal.sqlite3"
    lose_half(journal)
    journal.with_name("journal.sqlite3-wal").write_bytes(b"of the damaged one")
    damaged = journal.read_bytes()
    aside = state.backups.restore(state.backups.newest_whole())
    assert aside.read_bytes() == damaged
    assert aside.with_name(aside.name + "-wal").read_bytes() == b"of the damaged one"
    async with StateManager(tmp_path / "state") as again:
        await again.check_whole()
        assert again.journal_id == journal_id
        assert [deployment.id for deployment in await again.deployments.list()] == [done.id]
        await write(again, 1)


async def test_restore_never_leaves_no_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between any two of its acts, it leaves a file under the journal's name."""
    async with StateManager(tmp_path / "state") as state:
        await write(state, 3)
        state.backups.make(NOON)
    journal = state.folder / "journal.sqlite3"
    seen: list[bool] = []
    for act in ("rename", "replace", "hardlink_to"):
        original = getattr(Path, act)

        def watched(path: Path, target: Path, original: Any = original) -> Any:
            result = original(path, target)
            seen.append(journal.exists())
            return result

        monkeypatch.setattr(Path, act, watched)
    state.backups.restore(state.backups.newest_whole())
    assert seen
    assert all(seen)


async def test_damaged_copies_passed_over(tmp_path: Path) -> None:
    async with StateManager(tmp_path / "state") as state:
        await write(state, 300)
        good, bad = state.backups.make(NOON), state.backups.make(NOON + timedelta(days=1))
    lose_half(bad.path)
    assert state.backups.newest_whole() == good
    with pytest.raises(DamagedCopyError):
        state.backups.restore(bad)
    lose_half(good.path)
    with pytest.raises(InvalidRequestError, match="no whole copy"):
        state.backups.newest_whole()
