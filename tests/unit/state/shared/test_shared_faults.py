"""What the shared state withstands: rows whose numbers meet, restarts, answers that break off, what Swarm refuses."""

import os
import tempfile
import time
from pathlib import Path

import pytest

from roas.errors import JournalUnusableError, StateError
from roas.stack.swarm.shared_store import prefix_of
from roas.state.manager import StateManager
from roas.state.shared import log as shared_log
from roas.state.shared.files import digest_of, pack, unpack
from roas.state.shared.log import SharedLog
from roas.state.shared.objects import RefusedError, SealedObjects, StoreAwayError, Term, entry_name, file_name
from roas.state.shared.replica import read_all
from roas.state.shared.sealing import Seal
from tests.unit.state.shared.shared_swarm import KEY, freeze, lead

LONGEST_NAME = 64
NOBODY = 65534


async def note(state: StateManager, name: str) -> None:
    """Write a row into the table that also holds what one copy alone knows."""
    await state._journal.write(
        lambda t: t.execute("INSERT INTO projections (name, document) VALUES (?, '{}')", (name,))
    )


async def rows_of(state: StateManager):
    return await state._journal.read(lambda t: read_all(t.connection))


def keep_file(folder, letter: str = "a") -> None:
    (folder / "models").mkdir(parents=True, exist_ok=True)
    (folder / "models" / (letter * 64 + ".yml")).write_text("services: {}")


async def test_rows_of_others_do_not_replace_what_a_copy_knows(bots, tmp_path, monkeypatch):
    """A new machine begins with a snapshot: what it notes for itself has no number that a row comes to have."""
    monkeypatch.setattr(shared_log, "ENTRIES_BETWEEN", 3)
    leader = await bots("one")
    keep_file(tmp_path / "one")
    await lead(leader, 1)
    for number in range(4):
        await note(leader, f"before{number}")
    late = await bots("two")
    await late.catch_up()
    kept = tmp_path / "two" / "models" / ("a" * 64 + ".yml")
    assert kept.exists()
    for number in range(4):
        await note(leader, f"after{number}")
        await late.catch_up()
        assert kept.exists()
    assert await rows_of(late) == await rows_of(leader)


async def test_leader_that_read_what_another_wrote_writes_no_more(bots):
    """Its clock says that it leads, and what it missed it has read: no clock is needed for that."""
    old, new = await bots("one"), await bots("two")
    await lead(old, 1)
    await lead(new, 2)
    await old.catch_up()
    with pytest.raises(StateError):
        await old.freezes.put(freeze())
    await new.freezes.put(freeze("dev"))


async def test_copy_of_a_lost_history_of_the_same_length_takes_what_counts(bots, swarm):
    first, second = await bots("one"), await bots("two")
    await lead(first, 1)
    await second.catch_up()
    older = dict(swarm.objects)
    for number in range(5):
        await first.freezes.put(freeze(f"lost{number}"))
    swarm.objects = older
    await lead(second, 2)
    for number in range(4):
        await second.freezes.put(freeze(f"kept{number}"))
    await lead(first, 3)
    assert {item.environment for item in await first.freezes.all()} == {f"kept{number}" for number in range(4)}
    await first.freezes.put(freeze("after"))
    await second.catch_up()
    assert await rows_of(second) == await rows_of(first)


async def test_bots_that_often_start_shorten_the_log(tmp_path, swarm, monkeypatch):
    monkeypatch.setattr(shared_log, "ENTRIES_BETWEEN", 8)
    for token in range(1, 31):
        shared = SharedLog(SealedObjects(swarm, Seal(KEY)), tmp_path)
        async with StateManager(tmp_path, shared=shared) as state:
            await lead(state, token)
            await state.freezes.put(freeze(f"env{token}"))
    assert len(swarm.names("entry.")) < 20


async def test_files_of_leaders_that_died_are_removed_from_the_swarm(tmp_path, swarm, monkeypatch):
    monkeypatch.setattr(shared_log, "ENTRIES_BETWEEN", 4)
    for token, letter in enumerate("abcdefgh", start=1):
        shared = SharedLog(SealedObjects(swarm, Seal(KEY)), tmp_path)
        async with StateManager(tmp_path, shared=shared) as state:
            keep_file(tmp_path, letter)
            await lead(state, token)
            (tmp_path / "models" / (letter * 64 + ".yml")).unlink()
            monkeypatch.setattr(shared_log, "REMOVED_AT_ONCE", 0)
            await state.freezes.put(freeze(letter))
            monkeypatch.setattr(shared_log, "REMOVED_AT_ONCE", 3)
    async with StateManager(tmp_path, shared=SharedLog(SealedObjects(swarm, Seal(KEY)), tmp_path)) as state:
        await lead(state, 20)
        for number in range(20):
            await state.freezes.put(freeze(f"env{number}"))
    assert swarm.names("file.") == []


@pytest.mark.parametrize("project", ["shop", "a" * 20, "a" * 21, "a" * 60])
def test_names_are_as_short_as_swarm_takes(project):
    name = file_name(digest_of("models/a", b"content"), 999)
    assert len(f"{prefix_of(project)}{name}") <= LONGEST_NAME
    assert len(f"{prefix_of(project)}{entry_name(10**9)}") <= LONGEST_NAME


async def test_what_the_swarm_refuses_is_not_tried_again(bots, swarm):
    leader = await bots("one")
    await lead(leader, 1)

    def refuse(name: str, data: bytes) -> None:
        raise RefusedError("invalid name")

    swarm.create, create = refuse, swarm.create
    with pytest.raises(JournalUnusableError, match="invalid name"):
        await leader.freezes.put(freeze())
    swarm.create = create
    await leader.catch_up()
    await leader.freezes.put(freeze())


async def test_copy_knows_its_identity_though_its_first_reading_broke_off(bots, swarm):
    leader, late = await bots("one"), await bots("two")
    await lead(leader, 1)
    read, broken = swarm.read, entry_name(1)

    def read_but_one(name: str):
        if name == broken:
            raise StoreAwayError("timed out")
        return read(name)

    swarm.read = read_but_one
    with pytest.raises(JournalUnusableError):
        await late.catch_up()
    assert late.journal_id == leader.journal_id


async def test_file_that_was_removed_while_the_answer_broke_off_is_removed(bots, swarm, tmp_path):
    leader, standby = await bots("one"), await bots("two")
    keep_file(tmp_path / "one", "a")
    await lead(leader, 1)
    await standby.catch_up()
    (tmp_path / "one" / "models" / ("a" * 64 + ".yml")).unlink()
    keep_file(tmp_path / "one", "b")
    await leader.freezes.put(freeze())
    read = swarm.read

    def read_no_file(name: str):
        if name.startswith("file."):
            raise StoreAwayError("timed out")
        return read(name)

    swarm.read = read_no_file
    with pytest.raises(JournalUnusableError):
        await standby.catch_up()
    swarm.read = read
    await standby.catch_up()
    assert [path.name for path in (tmp_path / "two" / "models").iterdir()] == ["b" * 64 + ".yml"]


async def test_row_that_was_replaced_and_then_removed_is_gone_everywhere(bots):
    leader, standby = await bots("one"), await bots("two")
    await lead(leader, 1)
    await note(leader, "row")
    await note(leader, "other")
    await standby.catch_up()

    def replace_and_remove(t) -> None:
        t.execute("INSERT OR REPLACE INTO projections (name, document) VALUES ('row', '[]')")
        t.execute("DELETE FROM projections WHERE name = 'row'")

    await leader._journal.write(replace_and_remove)
    await standby.catch_up()
    assert await rows_of(standby) == await rows_of(leader)


async def test_row_whose_number_changed_is_there_once(bots):
    leader, standby = await bots("one"), await bots("two")
    await lead(leader, 1)
    await note(leader, "row")
    await standby.catch_up()
    await leader._journal.write(
        lambda t: t.execute("UPDATE projections SET rowid = 99, name = 'moved' WHERE name = 'row'")
    )
    await standby.catch_up()
    assert await rows_of(standby) == await rows_of(leader)


async def test_row_that_was_over_and_is_gone_does_not_stay_after_a_snapshot(bots, monkeypatch):
    monkeypatch.setattr(shared_log, "ENTRIES_BETWEEN", 4)
    leader, away = await bots("one"), await bots("two")
    await lead(leader, 1)
    for number in range(4):
        await leader.freezes.put(freeze(f"env{number}"))
    await away.catch_up()
    await leader._journal.write(lambda t: t.execute("DELETE FROM changes WHERE sequence <= 2"))
    for number in range(40):
        await note(leader, f"row{number}")
    await away.catch_up()
    assert await rows_of(away) == await rows_of(leader)


async def test_two_that_begin_at_once_leave_one_journal(bots, swarm):
    """The other has written its snapshot in the moment in which this one would."""
    one, two = await bots("one"), await bots("two")
    all_, is_first = swarm.all, True

    def all_before():
        nonlocal is_first
        found = all_()
        if len(found) == 0 and not is_first:
            swarm.all = all_
            one.shared.take_over(one._journal._connected(), Term(1, "node1", time.monotonic() + 60.0))
        is_first = False
        return found

    swarm.all = all_before
    await lead(two, 2)
    await one.catch_up()
    assert one.journal_id == two.journal_id
    await two.freezes.put(freeze())
    await one.catch_up()
    assert await rows_of(one) == await rows_of(two)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be two users")
def test_folder_that_is_read_only_is_unpacked_by_a_plain_user():
    """Who may not write to a folder may not move it either, but for root."""
    with tempfile.TemporaryDirectory() as base:
        source, copy = Path(base, "one"), Path(base, "two")
        (source / "contents" / "web").mkdir(parents=True)
        (source / "contents" / "web" / "index.html").write_text("hello")
        (source / "contents" / "web").chmod(0o555)
        packed = pack(source, "contents/web")
        os.chown(base, NOBODY, NOBODY)
        os.seteuid(NOBODY)
        try:
            unpack(copy, "contents/web", packed)
        finally:
            os.seteuid(0)
        assert (copy / "contents" / "web" / "index.html").read_text() == "hello"
        assert (copy / "contents" / "web").stat().st_mode & 0o777 == 0o555


async def test_log_without_a_snapshot_is_no_reason_to_read_for_ever(bots, swarm):
    """A person removed the configs, but for the lease that tells how far the log had come."""
    leader, standby = await bots("one"), await bots("two")
    await lead(leader, 1)
    await standby.catch_up()
    swarm.objects.clear()
    with pytest.raises(JournalUnusableError, match="is missing"):
        await standby.catch_up(50)


@pytest.mark.parametrize("more", [0, 3])
async def test_copy_of_a_lost_history_learns_so_before_more_is_written(bots, swarm, more):
    first, second = await bots("one"), await bots("two")
    await lead(first, 1)
    await second.catch_up()
    older = dict(swarm.objects)
    for number in range(2 + more):
        await first.freezes.put(freeze(f"lost{number}"))
    swarm.objects = older
    await lead(second, 2)
    await second.freezes.put(freeze("kept"))
    first.shared.lose()
    first.shared.lease_token = 2
    await first.catch_up(second.shared.head)
    assert await rows_of(first) == await rows_of(second)


async def test_row_is_written_twice_in_one_commit(bots):
    """By statements that say themselves what becomes of a conflict."""
    leader, standby = await bots("one"), await bots("two")
    await lead(leader, 1)

    def work(t) -> None:
        for text in ("one", "two", "three"):
            t.put("projections", {"text": text}, name="row")
            t.execute("INSERT OR ROLLBACK INTO projections (name, document) VALUES (?, '')", (text,))
            t.execute("UPDATE OR FAIL projections SET document = '[]' WHERE name = ?", (text,))

    await leader._journal.write(work)
    await leader._journal.write(lambda t: t.put("projections", {"text": "four"}, name="row"))
    await standby.catch_up()
    assert await rows_of(standby) == await rows_of(leader)
