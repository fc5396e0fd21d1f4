"""A journal has an id, and a process notices that the one it has open is not the one at its path any more."""

import asyncio
import gc
import os
import shutil
import sqlite3
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from roas.concurrency import end_tasks
from roas.errors import JournalLostError, StateError
from roas.models.leader_lease import Heartbeat
from roas.state.journal import place as journal_place
from roas.state.journal.journal import Journal
from roas.state.journal.place import JOURNAL_NAME, JournalPlace
from roas.state.living_processes import boot_id, boot_seconds
from roas.state.manager import StateManager
from roas.state.transaction import Transaction


async def beat(state: StateManager) -> None:
    await state.ownership.beat_and_renew(Heartbeat(state.instance_id, boot_id(), boot_seconds(), "container"))


async def another_journal(tmp_path: Path) -> Path:
    """Make a journal of another bot, closed, so that all of it is in one file."""
    async with StateManager(tmp_path / "another") as other:
        return other.folder / JOURNAL_NAME


async def test_journal_id_is_kept_and_differs(tmp_path: Path, state: StateManager) -> None:
    async with StateManager(state.folder) as second:
        assert second.journal_id == state.journal_id != ""
    async with StateManager(tmp_path / "another") as other:
        assert other.journal_id != state.journal_id


async def test_journal_without_id_gets_one(tmp_path: Path) -> None:
    async with StateManager(tmp_path / "state") as before:
        path = before.folder / JOURNAL_NAME
    with closing(sqlite3.connect(path)) as journal:
        journal.execute("DELETE FROM projections")
        journal.commit()
    async with StateManager(tmp_path / "state") as first:
        given = first.journal_id
    async with StateManager(tmp_path / "state") as second:
        assert second.journal_id == given != ""


async def test_untouched_journal_is_not_lost(tmp_path: Path, state: StateManager) -> None:
    for _ in range(3):
        await beat(state)
        async with StateManager(state.folder) as second:
            await beat(second)
    assert state.lost is None


@pytest.mark.parametrize("name", [JOURNAL_NAME, f"{JOURNAL_NAME}-wal", f"{JOURNAL_NAME}-shm"])
async def test_deleted_file_ends_every_transaction(state: StateManager, name: str) -> None:
    await beat(state)
    (state.folder / name).unlink()
    with pytest.raises(JournalLostError, match=f"{name} was deleted"):
        await state.ownership.lease()
    with pytest.raises(JournalLostError):
        await state.ownership.acquire()
    assert not (state.folder / name).exists()


async def test_replaced_journal_is_lost(tmp_path: Path, state: StateManager) -> None:
    await beat(state)
    (await another_journal(tmp_path)).replace(state.folder / JOURNAL_NAME)
    with pytest.raises(JournalLostError, match="overwritten"):
        await state.ownership.acquire()


async def test_loss_is_for_good(state: StateManager) -> None:
    await beat(state)
    path = state.folder / JOURNAL_NAME
    path.rename(path.with_suffix(".away"))
    with pytest.raises(JournalLostError):
        await state.ownership.lease()
    path.with_suffix(".away").rename(path)
    with pytest.raises(JournalLostError):
        await state.ownership.lease()
    assert state.lost is not None


@pytest.mark.parametrize("written", [True, False])
async def test_journal_overwritten_in_place_is_lost(tmp_path: Path, state: StateManager, written: bool) -> None:
    """Copied over, the file keeps its number: only what a fresh reader finds in it tells."""
    await beat(state)
    with closing(sqlite3.connect(state.folder / JOURNAL_NAME)) as somebody:
        somebody.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    if written:
        shutil.copyfile(await another_journal(tmp_path), state.folder / JOURNAL_NAME)
    else:
        os.truncate(state.folder / JOURNAL_NAME, 0)
    with pytest.raises(JournalLostError, match="overwritten"):
        await beat(state)
    with pytest.raises(JournalLostError):
        await state.ownership.acquire()


async def test_overwritten_journal_is_lost_whatever_is_remembered_of_it(tmp_path: Path, state: StateManager) -> None:
    """Nobody but this process has written to the journal by SQLite, so that it would answer from its own memory."""
    await state._journal._in_thread(lambda: state._journal._connected().execute("PRAGMA wal_checkpoint").fetchall())
    for _ in range(2):
        await beat(state)
    shutil.copyfile(await another_journal(tmp_path), state.folder / JOURNAL_NAME)
    with pytest.raises(JournalLostError, match="overwritten"):
        await beat(state)


async def test_older_copy_of_the_same_is_lost(tmp_path: Path, state: StateManager) -> None:
    path, copy = state.folder / JOURNAL_NAME, tmp_path / "copy"
    for step in range(2):
        await beat(state)
        with closing(sqlite3.connect(path)) as somebody:
            somebody.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if step == 0:
            shutil.copyfile(path, copy)
    shutil.copyfile(copy, path)
    with pytest.raises(JournalLostError, match="overwritten"):
        await beat(state)


async def test_folder_moved_on_the_host_is_noticed(tmp_path: Path, state: StateManager, monkeypatch) -> None:
    """A container goes on in a folder that was moved; the kernel tells its name of now."""
    line = "36 35 98:0 {} " + str(state.folder) + " rw,noatime - ext3 /dev/root rw\n"
    table = tmp_path / "mountinfo"
    table.write_text(line.format("/srv/state"))
    monkeypatch.setattr(journal_place, "MOUNT_TABLE", table)
    async with StateManager(state.folder) as inside:
        await beat(inside)
        table.write_text(line.format("/srv/state.old"))
        with pytest.raises(JournalLostError, match="was deleted, moved or overwritten"):
            await beat(inside)


async def test_folder_in_place_of_ours_is_no_fault_of_the_disk(state: StateManager) -> None:
    """SQLite calls what it has open read-only then."""
    await beat(state)
    state.folder.rename(state.folder.with_name("old"))
    state.folder.mkdir()
    with pytest.raises(JournalLostError, match="was deleted, moved or overwritten") as told:
        await beat(state)
    assert "roas restore" in told.value.hint
    assert not [word for word in ("read-only", "dmesg") if word in f"{told.value.message} {told.value.hint}"]


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the visits to the journal's thread, the fresh readers, and the looks at the kernel's list of mounts."""
    counted: Counter[str] = Counter()

    def count(owner: Any, name: str) -> None:
        known = getattr(owner, name)

        def counting(*arguments: object) -> object:
            counted[name] += 1
            return known(*arguments)

        monkeypatch.setattr(owner, name, counting)

    count(ThreadPoolExecutor, "submit")
    count(JournalPlace, "_read")
    count(journal_place, "_read_mount_table")
    return counted


async def test_beat_is_one_visit_to_the_thread(state: StateManager, looks: Counter[str]) -> None:
    for _ in range(10):
        await beat(state)
    assert looks["submit"] == 10


@pytest.mark.parametrize(("source", "read"), [("/", 1), ("/srv/state", 4)])
async def test_mounts_are_read_where_a_folder_may_move(
    tmp_path: Path, looks: Counter[str], monkeypatch: pytest.MonkeyPatch, source: str, read: int
) -> None:
    """Once when the journal is opened; nobody can move all of a file system."""
    table = tmp_path / "mountinfo"
    table.write_text(f"36 35 98:0 {source} {tmp_path} rw,noatime - ext3 /dev/root rw\n")
    monkeypatch.setattr(journal_place, "MOUNT_TABLE", table)
    async with StateManager(tmp_path / "state") as state:
        for _ in range(3):
            await beat(state)
    assert looks["_read_mount_table"] == read


async def test_closing_a_lost_journal_spares_the_new(tmp_path: Path) -> None:
    """The last connection to a journal deletes its -wal file by its name, which may be another bot's by then."""
    first = StateManager(tmp_path / "state")
    await first.open()
    await beat(first)
    for suffix in ("", "-wal", "-shm"):
        (first.folder / f"{JOURNAL_NAME}{suffix}").unlink()
    async with StateManager(first.folder) as second:
        await beat(second)
        wal = (second.folder / f"{JOURNAL_NAME}-wal").stat().st_ino
        await first.close()
        assert (second.folder / f"{JOURNAL_NAME}-wal").stat().st_ino == wal
        await beat(second)
        assert await second.ownership.has_beaten("container")


async def test_failed_write_of_a_cancelled_caller_is_read(tmp_path: Path) -> None:
    unread: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unread.append(context))
    begun, goes_on = threading.Event(), threading.Event()

    def breaks(_: Transaction) -> None:
        begun.set()
        goes_on.wait(10)
        raise StateError("the disk is gone")

    journal = Journal(tmp_path / JOURNAL_NAME, "T", lambda _: None, str)
    await journal.open()
    caller = asyncio.create_task(journal.write(breaks))
    assert await asyncio.to_thread(begun.wait, 10)
    await end_tasks(caller)
    goes_on.set()
    await journal.read(lambda _: None)  # one after the other: the write has failed then
    await asyncio.sleep(0)
    del caller
    gc.collect()
    assert unread == []
    await journal.close()
