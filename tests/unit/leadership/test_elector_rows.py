"""Who holds the lease leads, who cannot know stands by, and who has no journal stops."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from roas.concurrency import end_tasks, pause
from roas.errors import JournalLostError
from roas.leadership import elector, takeover
from roas.leadership.elector import Occasion
from roas.models.leader_lease import Heartbeat, LeaderLease
from roas.state import leader_lease as ownership
from roas.state.living_processes import boot_id, boot_seconds
from roas.state.manager import StateManager
from tests.unit.leadership.fake_home import HUNG, Bot, fail
from tests.unit.log_lines import captured_logs

SECONDS = 10.0
BEATS = 20
ROUNDS = 5
CHANGES = {"this bot leads now", "this bot is on standby"}


class Scene:
    """Let one bot elect itself beside another process on the same journal, and count its rounds."""

    def __init__(self, bot: Bot, own: StateManager, other: StateManager, patch: pytest.MonkeyPatch) -> None:
        self.bot, self.own, self.other, self.patch = bot, own, other, patch
        self.leadership = bot.leadership
        self.running = asyncio.create_task(bot.elector.run())
        self._rounds = 0
        self._changed = asyncio.Event()
        patch.setattr(elector, "pause", self._pause)

    async def _pause(self, seconds: float) -> None:
        self._rounds += 1
        self._changed.set()
        await pause(seconds)

    async def plays(self) -> None:
        """Wait for some rounds, or until it has stopped."""
        last = self._rounds + ROUNDS
        async with asyncio.timeout(SECONDS):
            while self._rounds < last and not self.running.done():
                self._changed.clear()
                waiting = asyncio.create_task(self._changed.wait())
                await asyncio.wait({waiting, self.running}, return_when=asyncio.FIRST_COMPLETED)
                await end_tasks(waiting)

    async def settles(self, *, leads: bool) -> None:
        """Wait until it leads, or stands by."""
        async with asyncio.timeout(SECONDS):
            while (self.leadership.lease is not None) is not leads:
                await self.plays()

    async def lead(self) -> None:
        """Let the bot lead."""
        self.other.instance.withdraw()
        await self.settles(leads=True)

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
        scene = Scene(Bot(own), own, other, monkeypatch)
        yield scene
        await end_tasks(scene.running)


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


async def leader_elsewhere(scene: Scene) -> None:
    await scene.give("BOT-other")


@pytest.mark.parametrize(
    ("led", "cause", "leads", "reasons"),
    [
        (False, standby_held, True, [Occasion.HELD]),
        (False, standby_taken, True, [Occasion.TAKEN]),
        (False, standby_seized, True, [Occasion.SEIZED]),
        (False, nothing, False, []),
        (False, hidden, False, []),
        (True, nothing, True, []),
        # Nobody lives by that name.
        (True, leader_elsewhere, True, [Occasion.ELSEWHERE, Occasion.TAKEN]),
        (True, hidden, False, [Occasion.UNREADABLE]),
    ],
)
async def test_elector_leads_by_lease(
    scene: Scene, led: bool, cause: Callable[[Scene], Awaitable[None]], leads: bool, reasons: list[Occasion]
) -> None:
    if led:
        await scene.lead()
    with captured_logs() as logged:
        await cause(scene)
        await scene.settles(leads=leads)
        await scene.plays()
    assert (scene.leadership.lease is not None) is leads
    assert [line["reason"] for line in logged if line["event"] in CHANGES] == reasons


@pytest.mark.parametrize("led", [False, True])
async def test_loss_of_the_journal_is_for_good(scene: Scene, led: bool) -> None:
    if led:
        await scene.lead()
    scene.lose()
    async with asyncio.timeout(SECONDS):
        await scene.running
    assert scene.leadership.lease is None


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
