"""Several bots share a journal through a Swarm: what one commits all have, and of two leaders one writes."""

import asyncio
import sqlite3

import pytest

from roas.errors import FencedOffError, JournalMissingError, JournalUnusableError, StateError
from roas.models.deployment import Outcome
from roas.models.post import TargetPosition
from roas.state.manager import StateManager
from roas.state.shared import log as shared_log
from tests.unit.state.journal.journal_work import DORA, deploy
from tests.unit.state.shared.shared_swarm import freeze, lead


async def test_what_one_commits_the_others_have(bots):
    leader, standby = await bots("one"), await bots("two")
    await lead(leader, 1)
    await leader.freezes.put(freeze())
    assert await standby.freezes.all() == ()
    assert await standby.catch_up()
    assert await standby.freezes.all() == (freeze(),)
    assert standby.journal_id == leader.journal_id
    await leader.freezes.lift("prod", DORA)
    await standby.catch_up()
    assert await standby.freezes.all() == ()
    assert await standby.last_sequence() == await leader.last_sequence()


async def test_row_that_is_written_twice_at_once_is_shared(bots):
    """What is written again by its key is an update, whose triggers obey no word of their own about conflicts."""
    leader, standby = await bots("one"), await bots("two")
    await lead(leader, 1)
    await asyncio.gather(*(leader.targets.save("team", TargetPosition(number)) for number in range(1, 5)))
    await standby.catch_up()
    assert await standby.targets.get("team") == TargetPosition(4)


async def test_nothing_is_committed_that_the_swarm_does_not_have(bots, swarm):
    leader = await bots("one")
    await lead(leader, 1, seconds=0.6)
    swarm.is_away = True
    with pytest.raises(JournalUnusableError):
        await leader.freezes.put(freeze())
    assert await leader.freezes.all() == ()


async def test_standby_changes_nothing(bots):
    leader, standby = await bots("one"), await bots("two")
    await lead(leader, 1)
    with pytest.raises(FencedOffError):
        await standby.freezes.put(freeze())
    await standby.catch_up()
    with pytest.raises(FencedOffError):
        await standby.freezes.put(freeze())
    assert await standby.freezes.all() == ()


async def test_woken_leader_is_fenced_though_it_does_not_know(bots):
    old, new = await bots("one"), await bots("two")
    await lead(old, 1)
    await old.freezes.put(freeze("dev"))
    await lead(new, 2)
    with pytest.raises(StateError):  # its clock says that it leads
        await old.freezes.put(freeze("prod"))
    assert await old.freezes.all() == (freeze("dev"),)
    await old.catch_up()
    await new.freezes.put(freeze("staging"))
    assert {item.environment for item in await new.freezes.all()} == {"dev", "staging"}


async def test_write_of_the_leader_before_that_came_first_counts(bots):
    old, new = await bots("one"), await bots("two")
    await lead(old, 1)
    await new.catch_up()
    await old.freezes.put(freeze("dev"))
    await lead(new, 2)
    assert {item.environment for item in await new.freezes.all()} == {"dev"}


async def test_lease_that_has_run_out_by_the_own_clock_ends_writing(bots, swarm):
    leader = await bots("one")
    await lead(leader, 1, seconds=0.0)
    before = dict(swarm.objects)
    with pytest.raises(FencedOffError):
        await leader.freezes.put(freeze())
    assert swarm.objects == before


async def test_lost_answer_is_no_lost_write(bots, swarm):
    leader, standby = await bots("one"), await bots("two")
    await lead(leader, 1)
    swarm.lost_answers = 2
    await leader.freezes.put(freeze())
    await standby.catch_up()
    assert await standby.freezes.all() == await leader.freezes.all() == (freeze(),)


async def test_write_of_unknown_fate_is_read_before_the_next(bots, swarm):
    leader = await bots("one")
    await lead(leader, 1, seconds=0.6)
    create = swarm.create

    def create_and_go(name: str, data: bytes) -> None:
        swarm.create = create
        swarm.lost_answers = 1
        try:
            create(name, data)
        finally:
            swarm.is_away = True

    swarm.create = create_and_go
    with pytest.raises(JournalUnusableError):
        await leader.freezes.put(freeze())
    swarm.is_away = False
    await lead(leader, 2)
    assert await leader.freezes.all() == (freeze(),)


async def test_new_machine_begins_from_the_snapshot(bots, swarm, monkeypatch):
    monkeypatch.setattr(shared_log, "ENTRIES_BETWEEN", 4)
    leader = await bots("one")
    await lead(leader, 1)
    for number in range(20):
        await leader.freezes.put(freeze(f"env{number}"))
    assert len(swarm.names("entry.")) < 12
    assert len(swarm.names("snapshot.")) <= 2
    late = await bots("three")
    await late.catch_up(leader.shared.head)
    assert await late.freezes.all() == await leader.freezes.all()
    assert late.journal_id == leader.journal_id


async def test_copy_that_was_away_for_long_keeps_its_history(bots, swarm, monkeypatch):
    monkeypatch.setattr(shared_log, "ENTRIES_BETWEEN", 4)
    leader, standby = await bots("one"), await bots("two")
    await lead(leader, 1)
    await leader.freezes.put(freeze("first"))
    await standby.catch_up()
    for number in range(40):
        await leader.freezes.put(freeze(f"env{number}"))
    assert await standby.catch_up(leader.shared.head)
    assert await standby.freezes.all() == await leader.freezes.all()
    assert await standby.changes() == await leader.changes()


@pytest.mark.parametrize("leads", [False, True])
async def test_copy_whose_next_entry_is_gone_reads_the_snapshot(bots, swarm, monkeypatch, leads):
    """A machine that was away for a day starts: nobody has told it yet how far the others have come."""
    monkeypatch.setattr(shared_log, "ENTRIES_BETWEEN", 4)
    leader, late = await bots("one"), await bots("two")
    await lead(leader, 1)
    await late.catch_up()
    for number in range(40):
        await leader.freezes.put(freeze(f"env{number}"))
    await (lead(late, 2) if leads else late.catch_up())
    assert await late.freezes.all() == await leader.freezes.all()


async def test_files_of_releases_go_along(bots, tmp_path):
    leader, standby = await bots("one"), await bots("two")
    models = tmp_path / "one" / "models"
    (models / ("a" * 64 + ".held")).mkdir(parents=True)
    (models / ("a" * 64 + ".yml")).write_text("services: {}\n" * 100_000)
    (models / ("a" * 64 + ".held") / "shop-r1").touch()
    (tmp_path / "one" / "secret_key").write_bytes(b"k" * 32)
    folder = tmp_path / "one" / "contents" / ("b" * 64)
    folder.mkdir(parents=True)
    (folder / "nginx.conf").write_text("server {}")
    (folder / "nginx.conf").chmod(0o440)
    await lead(leader, 1)
    await leader.freezes.put(freeze())
    await standby.catch_up()
    two = tmp_path / "two"
    assert (two / "models" / ("a" * 64 + ".yml")).read_text() == "services: {}\n" * 100_000
    assert (two / "models" / ("a" * 64 + ".held") / "shop-r1").exists()
    assert (two / "secret_key").read_bytes() == b"k" * 32
    assert (two / "contents" / ("b" * 64) / "nginx.conf").stat().st_mode & 0o777 == 0o440
    (models / ("a" * 64 + ".held") / "shop-r1").unlink()
    (models / ("a" * 64 + ".held")).rmdir()
    (models / ("a" * 64 + ".yml")).unlink()
    await leader.freezes.put(freeze("dev"))
    await standby.catch_up()
    assert not list((two / "models").iterdir())


async def test_another_journal_is_not_written_over(bots, tmp_path):
    leader = await bots("one")
    await lead(leader, 1)
    async with StateManager(tmp_path / "two") as alone:
        await deploy(alone)
    other = await bots("two")
    with pytest.raises(JournalMissingError, match="the Swarm has"):
        await other.catch_up()
    async with StateManager(tmp_path / "two") as alone:
        assert len(await alone.deployments.list("dev")) == 1
    (tmp_path / "two").rename(tmp_path / "aside")
    assert await (await bots("two")).catch_up()


async def test_journal_that_was_there_before_becomes_the_shared_one(bots, tmp_path):
    async with StateManager(tmp_path / "one") as alone:
        deployment = await deploy(alone)
        journal = alone.journal_id
    leader, standby = await bots("one"), await bots("two")
    await lead(leader, 1)
    await standby.catch_up()
    assert standby.journal_id == journal
    found = await standby.deployments.get(deployment.id)
    assert found is not None
    assert found.outcome is Outcome.SUCCEEDED


async def test_another_key_is_named(bots):
    leader = await bots("one")
    await lead(leader, 1)
    other = await bots("two", key=b"another key of thirty-two characters")
    with pytest.raises(StateError, match="encrypted with another key"):
        await other.catch_up()
    again = await bots("two")
    assert await again.catch_up()


async def test_swarm_that_lost_its_state_is_given_what_the_copy_has(bots, swarm, tmp_path):
    leader, standby = await bots("one"), await bots("two")
    (tmp_path / "one" / "secret_key").write_bytes(b"k" * 32)
    await lead(leader, 1)
    await leader.freezes.put(freeze())
    swarm.objects.clear()
    await lead(leader, 2)
    await standby.catch_up()
    assert await standby.freezes.all() == (freeze(),)
    assert (tmp_path / "two" / "secret_key").exists()


async def test_swarm_of_an_older_state_is_given_what_is_missing(bots, swarm):
    leader, standby = await bots("one"), await bots("two")
    await lead(leader, 1)
    older = dict(swarm.objects)
    await leader.freezes.put(freeze())
    swarm.objects = older
    await lead(leader, 2)
    await standby.catch_up()
    assert await standby.freezes.all() == (freeze(),)


async def test_copy_that_fell_behind_in_an_older_state_takes_what_counts(bots, swarm):
    first, second = await bots("one"), await bots("two")
    await lead(first, 1)
    await second.catch_up()
    older = dict(swarm.objects)
    for number in range(5):
        await first.freezes.put(freeze(f"lost{number}"))
    swarm.objects = older
    await lead(second, 2)
    await second.freezes.put(freeze("kept"))
    await lead(first, 3)
    assert [item.environment for item in await first.freezes.all()] == ["kept"]


async def test_copy_without_the_setting_is_not_changed(bots, tmp_path):
    leader = await bots("one")
    await lead(leader, 1)
    async with StateManager(tmp_path / "one", instance_prefix="CLI") as alone:
        with pytest.raises(FencedOffError, match="is a copy: only the leader changes it"):
            await alone.freezes.put(freeze())


async def test_copy_becomes_a_journal_by_itself(bots, tmp_path):
    leader = await bots("one")
    await lead(leader, 1)
    await leader.freezes.put(freeze())
    leader.backups.keep()
    async with StateManager(tmp_path / "one", instance_prefix="CLI") as alone:
        await alone.freezes.lift("prod", DORA)


async def test_journal_that_a_person_brought_back_is_not_written_over(bots, tmp_path):
    async with StateManager(tmp_path / "one") as alone:
        await deploy(alone)
        copy = alone.backups.make()
    leader = await bots("one")
    await lead(leader, 1)
    leader.backups.restore(copy)
    again = await bots("one")
    with pytest.raises(JournalMissingError, match="the Swarm has"):
        await again.catch_up()


async def test_file_that_nobody_has_told_of_stays(bots, tmp_path):
    leader, standby = await bots("one"), await bots("two")
    await lead(leader, 1)
    (tmp_path / "two" / "models").mkdir(parents=True)
    (tmp_path / "two" / "models" / ("c" * 64 + ".yml")).write_text("services: {}")
    await leader.freezes.put(freeze())
    await standby.catch_up()
    assert (tmp_path / "two" / "models" / ("c" * 64 + ".yml")).exists()


async def test_rows_of_a_newer_version_are_kept(bots, swarm):
    leader, standby = await bots("one"), await bots("two")
    await lead(leader, 1)
    newer = (*shared_log.known_migrations(), "ALTER TABLE freezes ADD COLUMN colour TEXT NOT NULL DEFAULT 'none'")
    shared_log_known = shared_log.known_migrations
    try:
        shared_log.known_migrations = lambda: newer
        await leader._journal.write(lambda t: t.execute(newer[-1]))
        await lead(leader, 2)
    finally:
        shared_log.known_migrations = shared_log_known
    await leader.freezes.put(freeze())
    await leader._journal.write(lambda t: t.execute("UPDATE freezes SET colour = 'red'"))
    await standby.catch_up()
    with sqlite3.connect(standby.folder / "journal.sqlite3") as there:
        assert there.execute("SELECT colour FROM freezes").fetchall() == [("red",)]
