"""Each row of the table of transitions is what a real elector does, and it does nothing else."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from roas.concurrency import end_tasks
from roas.errors import JournalLostError
from roas.leadership import elector, takeover
from roas.leadership.elector import TRANSITIONS, ElectorState, Occasion, after
from roas.models.leader_lease import Heartbeat, LeaderLease
from roas.state import leader_lease as ownership
from roas.state.living_processes import boot_id, boot_seconds
from roas.state.manager import StateManager
from tests.unit.leadership.test_takeover import HUNG, Bot, fail

SECONDS = 10.0
BEATS = 20
Row = tuple[ElectorState, Occasion, ElectorState]


class Scene:
    """Let one bot elect itself beside another process on the same journal, and note each transition."""

    def __init__(self, bot: Bot, own: StateManager, other: StateManager, patch: pytest.MonkeyPatch) -> None:
        self.bot, self.own, self.other, self.patch = bot, own, other, patch
        self.made: list[Row] = []
        self.impossible: list[tuple[ElectorState, Occasion]] = []
        self._changed = asyncio.Event()
        patch.setattr(elector, "after", self._note)

    def _note(self, state: ElectorState, occasion: Occasion) -> ElectorState:
        self._changed.set()
        self.impossible.append((state, occasion))
        target = after(state, occasion)
        self.made.append((*self.impossible.pop(), target))
        return target

    async def sees(self, state: ElectorState, occasion: Occasion) -> None:
        """Wait until the elector has met an occasion in a state."""
        async with asyncio.timeout(SECONDS):
            while not any(row[:2] == (state, occasion) for row in self.made):
                self._changed.clear()
                await self._changed.wait()

    async def lead(self) -> None:
        """Let the bot lead."""
        self.other.instance.withdraw()
        await self.sees(ElectorState.LEADER, Occasion.HELD)

    async def give(self, instance_id: str) -> None:
        """Write the lease as a handover does, in one transaction."""
        held = await self.other.ownership.lease()
        await self.other._journal.write(lambda t: ownership._grant_lease(t, instance_id, held))

    def lose(self) -> None:
        async def lost(_heartbeat: Heartbeat) -> None:
            raise JournalLostError("The journal was deleted.", hint="")

        self.patch.setattr(self.own.ownership, "beat_and_renew", lost)

    def hide(self) -> None:
        for name in ("beat_and_renew", "lease"):
            self.patch.setattr(self.own.ownership, name, fail)


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    monkeypatch.setattr(elector, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(elector, "ACTIVE_BEAT_SECONDS", 0.02)
    monkeypatch.setattr(takeover, "LAPSE_CONFIRM_SECONDS", 0.1)
    async with StateManager(tmp_path) as other, StateManager(tmp_path) as own:
        await other.ownership.beat(Heartbeat(other.instance_id, boot_id(), boot_seconds(), process=HUNG))
        await other.ownership.acquire()
        scene = Scene(Bot(own, tmp_path), own, other, monkeypatch)
        running = asyncio.create_task(scene.bot.elector.run())
        yield scene
        await end_tasks(running)


async def standby_held(scene: Scene) -> None:
    await scene.give(scene.own.instance_id)


async def standby_taken(scene: Scene) -> None:
    scene.other.instance.withdraw()


async def standby_seized(scene: Scene) -> None:
    scene.patch.setattr(ownership, "LEASE_SECONDS", 0.0)
    await scene.give(scene.other.instance_id)


async def nothing(_scene: Scene) -> None:
    return


async def hidden(scene: Scene) -> None:
    scene.hide()


async def lost(scene: Scene) -> None:
    scene.lose()


async def leader_elsewhere(scene: Scene) -> None:
    await scene.give("BOT-other")


S, L = ElectorState.STANDBY, ElectorState.LEADER
CAUSES: dict[tuple[ElectorState, Occasion], Callable[[Scene], Awaitable[None]]] = {
    (S, Occasion.HELD): standby_held,
    (S, Occasion.TAKEN): standby_taken,
    (S, Occasion.SEIZED): standby_seized,
    (S, Occasion.ELSEWHERE): nothing,
    (S, Occasion.UNREADABLE): hidden,
    (S, Occasion.LOST): lost,
    (L, Occasion.HELD): nothing,
    (L, Occasion.ELSEWHERE): leader_elsewhere,
    (L, Occasion.UNREADABLE): hidden,
    (L, Occasion.LOST): lost,
}


@pytest.mark.parametrize(("state", "occasion"), TRANSITIONS, ids=lambda part: part.name)
async def test_elector_makes_each_transition(scene: Scene, state: ElectorState, occasion: Occasion) -> None:
    if state is L:
        await scene.lead()
    await CAUSES[state, occasion](scene)
    await scene.sees(state, occasion)
    assert scene.impossible == []
    assert scene.bot.elector._state is scene.made[-1][2]


async def test_leader_at_rest_visits_its_journal_once_a_beat(scene: Scene) -> None:
    """Heartbeat, lease, and the look whether it is still its journal are one visit, and one commit."""
    await scene.lead()
    visits: Counter[str] = Counter()
    beaten = asyncio.Event()
    submit, beat = ThreadPoolExecutor.submit, scene.own.ownership.beat_and_renew

    def visit(executor: ThreadPoolExecutor, *arguments: object) -> object:
        visits["journal"] += executor is scene.own._journal._thread
        return submit(executor, *arguments)

    async def beat_and_renew(heartbeat: Heartbeat) -> LeaderLease | None:
        visits["beats"] += 1
        if visits["beats"] > BEATS:
            beaten.set()
            await asyncio.Event().wait()
        return await beat(heartbeat)

    scene.patch.setattr(scene.own.ownership, "beat_and_renew", beat_and_renew)
    scene.patch.setattr(ThreadPoolExecutor, "submit", visit)
    async with asyncio.timeout(SECONDS):
        await beaten.wait()
    assert visits["journal"] in {BEATS, BEATS + 1}, "one may have been under way before"
