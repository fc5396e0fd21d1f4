"""What is asked again and again is read again only when somebody has written since: this process, or another one."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from roas.errors import StateError
from roas.models.change import ChangeType, StateChange
from roas.models.ownership import Heartbeat
from roas.state import journal
from roas.state.boot_clock import boot_id, boot_seconds
from roas.state.manager import StateManager


@pytest.fixture
async def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StateManager]:
    monkeypatch.setattr(journal, "MARK_SECONDS", 1000.0)
    async with StateManager(tmp_path) as state:
        yield state


@pytest.fixture
async def other(tmp_path: Path, state: StateManager) -> AsyncIterator[StateManager]:
    async with StateManager(tmp_path) as other:
        yield other


async def beat(state: StateManager) -> None:
    await state.ownership.beat_and_renew(Heartbeat(state.instance_id, boot_id(), boot_seconds()))


class Asking:
    """Ask how many changes there are, and count the readings."""

    def __init__(self, state: StateManager) -> None:
        self.state, self.readings = state, 0

    async def _read(self) -> int:
        self.readings += 1
        return len(await self.state.changes())

    async def ask(self) -> tuple[int, int]:
        return await self.state.kept.ask(self._read), self.readings


async def test_nothing_is_kept_by_who_does_not_beat(state: StateManager) -> None:
    asking = Asking(state)
    assert [await asking.ask() for _ in range(3)] == [(0, 1), (0, 2), (0, 3)]


async def test_answer_is_kept_over_own_beats(state: StateManager) -> None:
    asking = Asking(state)
    for _ in range(3):
        await beat(state)
        assert await asking.ask() == (0, 1)


async def test_answer_is_kept_while_a_beat_is_under_way(state: StateManager) -> None:
    """What is looked at every so often is looked at in step with the beats."""
    asking = Asking(state)
    await beat(state)
    for _ in range(2):
        beating = asyncio.create_task(beat(state))
        await asyncio.sleep(0)
        assert await asking.ask() == (0, 1)
        await beating


async def test_own_write_counts_at_once(state: StateManager) -> None:
    asking = Asking(state)
    await beat(state)
    for number in range(1, 4):
        await state.record(StateChange(ChangeType.AUDIT, "test", "dev"))
        assert await asking.ask() == (number, number)
        assert await asking.ask() == (number, number)


async def test_write_that_changes_nothing_does_not_count(state: StateManager) -> None:
    asking = Asking(state)
    await beat(state)
    await asking.ask()
    assert await state.alerts.end_silences() == ()
    assert await asking.ask() == (0, 1)


async def test_write_of_another_process_counts_from_the_next_beat(state: StateManager, other: StateManager) -> None:
    asking = Asking(state)
    await beat(state)
    assert await asking.ask() == (0, 1)
    await other.record(StateChange(ChangeType.AUDIT, "test", "dev"))
    await beat(state)
    assert await asking.ask() == (1, 2)
    await beat(other)
    await beat(state)
    assert await asking.ask() == (1, 3), "whatever it wrote"


async def test_what_is_written_while_it_is_read_is_not_missed(state: StateManager) -> None:
    await beat(state)

    async def read() -> int:
        found = len(await state.changes())
        await state.record(StateChange(ChangeType.AUDIT, "test", "dev"))
        return found

    assert [await state.kept.ask(read) for _ in range(3)] == [0, 1, 2]


async def test_what_was_read_before_a_write_is_not_kept_after_it(state: StateManager) -> None:
    await beat(state)
    reading, goes_on = asyncio.Event(), asyncio.Event()

    async def read() -> int:
        found = len(await state.changes())
        reading.set()
        await goes_on.wait()
        return found

    early = asyncio.create_task(state.kept.ask(read))
    await reading.wait()
    await state.record(StateChange(ChangeType.AUDIT, "test", "dev"))
    await Asking(state).ask()
    goes_on.set()
    assert (await early, await state.kept.ask(read)) == (0, 1)


async def test_questions_are_told_apart(state: StateManager) -> None:
    await beat(state)
    asked: list[str] = []

    async def read(name: str, *, limit: int = 0) -> str:
        asked.append(f"{name} {limit}")
        return asked[-1]

    ask = state.kept.ask
    for _ in range(2):
        assert [await ask(read, "dev"), await ask(read, "prod"), await ask(read, "dev", limit=1)] == asked
    assert asked == ["dev 0", "prod 0", "dev 1"]


async def test_failed_reading_is_not_kept(state: StateManager) -> None:
    await beat(state)
    failing = [True, False]

    async def read() -> str:
        if failing.pop(0):
            raise StateError("no")
        return "read"

    with pytest.raises(StateError):
        await state.kept.ask(read)
    assert await state.kept.ask(read) == "read"


async def test_after_a_failed_beat_nothing_is_kept(state: StateManager, tmp_path: Path) -> None:
    asking = Asking(state)
    await beat(state)
    await asking.ask()
    (tmp_path / "journal.sqlite3").rename(tmp_path / "elsewhere")
    with pytest.raises(StateError):
        await beat(state)
    with pytest.raises(StateError):
        await asking.ask()


async def test_nothing_is_kept_long_after_a_beat(state: StateManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MARK_SECONDS", 0.01)
    asking = Asking(state)
    await beat(state)
    await asyncio.sleep(0.02)
    assert [await asking.ask() for _ in range(2)] == [(0, 1), (0, 2)]
