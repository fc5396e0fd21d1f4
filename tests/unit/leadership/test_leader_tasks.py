"""All of the leader's tasks run, or none; they end in reverse order, and the bot leads only while they run."""

import pytest

from roas.app.application import LeaderTask
from roas.errors import StateError
from roas.leadership.leader_tasks import LeaderTasks
from roas.models.leader_lease import LeaderLease
from roas.state.leadership import Leadership


class Noted(LeaderTask):
    """Note when it starts and stops; it fails for as long as it is told to."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self.name, self.notes, self.fails = name, notes, False

    async def start(self) -> None:
        if self.fails:
            raise StateError("The journal cannot be read.")
        self.notes.append(f"{self.name} starts")

    async def stop(self) -> None:
        self.notes.append(f"{self.name} stops")


async def test_tasks_end_in_reverse_order() -> None:
    notes: list[str] = []
    leadership = Leadership(is_leader=False)
    tasks = LeaderTasks([Noted("first", notes), Noted("second", notes)], leadership)
    for _ in range(2):  # at each beat of a leader
        await tasks.start()
    assert leadership.is_leader
    for _ in range(2):
        await tasks.stop()
    assert not leadership.is_leader
    assert notes == ["first starts", "second starts", "second stops", "first stops"]


async def test_failed_start_is_made_up_for() -> None:
    notes: list[str] = []
    leadership, second = Leadership(is_leader=False), Noted("second", notes)
    tasks = LeaderTasks([Noted("first", notes), second], leadership)
    second.fails = True
    with pytest.raises(StateError):
        await tasks.start()
    assert (notes, leadership.is_leader) == (["first starts", "first stops"], False)
    second.fails = False
    await tasks.start()
    assert (notes[2:], leadership.is_leader) == (["first starts", "second starts"], True)


async def test_start_that_ends_in_a_handover_makes_no_leader() -> None:
    leadership = Leadership(is_leader=False)
    leadership.lease = LeaderLease("BOT-1", 7, "boot", 0.0)
    tasks = LeaderTasks([], leadership)

    async def write() -> None:
        await tasks.start()
        assert not leadership.is_leader

    await leadership.transfer(write())
    await tasks.start()
    assert not leadership.is_leader, "it is the successor's from now on"
