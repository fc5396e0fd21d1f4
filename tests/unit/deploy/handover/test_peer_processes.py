"""A process that hangs is ended; one that wakes up in time is left alone, and that is seen at once."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from roas.deploy.handover import peer_processes
from roas.deploy.handover.peer_processes import PeerProcesses
from roas.models.leader_lease import Heartbeat, ProcessMark
from roas.state.living_processes import boot_id, boot_seconds
from roas.state.manager import StateManager
from tests.unit.leadership.every_peer import EveryPeer

MARK = ProcessMark(4711, 1, "pid:[1]")


class Scene:
    """Hold the journal of a process that has not sent a heartbeat for long, and what is done to it."""

    def __init__(self, state: StateManager) -> None:
        self.state = state
        self.ended: list[ProcessMark] = []
        self.waited = 0.0
        self.while_waiting: Callable[[], Any] | None = None
        engine: Any = SimpleNamespace(end_process=self.end_process, kill_orphans=self.kill_orphans)
        self.processes = PeerProcesses(engine, state, EveryPeer())  # type: ignore[arg-type]

    async def end_process(self, mark: ProcessMark) -> bool:
        self.ended.append(mark)
        return True

    async def kill_orphans(self, _instance_id: str) -> None:
        return

    async def beat(self, *, seconds_ago: float) -> None:
        await self.state.ownership.beat(Heartbeat("BOT-1", boot_id(), boot_seconds() - seconds_ago, process=MARK))

    async def pause(self, seconds: float) -> None:
        self.waited += seconds
        if self.while_waiting is not None:
            await self.while_waiting()


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with StateManager(tmp_path) as state:
        scene = Scene(state)
        await scene.beat(seconds_ago=60.0)
        monkeypatch.setattr(peer_processes, "pause", scene.pause)
        yield scene


async def test_hung_process_ended_after_last_chance(scene: Scene) -> None:
    assert await scene.processes.terminate_if_hung("BOT-1")
    assert scene.ended == [MARK]
    assert scene.waited >= 2.0


async def test_process_that_wakes_up_seen_at_once(scene: Scene) -> None:
    scene.while_waiting = lambda: scene.beat(seconds_ago=0.0)
    assert not await scene.processes.terminate_if_hung("BOT-1")
    assert scene.ended == []
    assert scene.waited < 1.0


async def test_process_that_beats_not_waited_for(scene: Scene) -> None:
    await scene.beat(seconds_ago=1.0)
    assert not await scene.processes.terminate_if_hung("BOT-1")
    assert scene.waited == 0
