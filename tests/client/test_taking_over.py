"""A bot that stands by takes the voice of one that is dead or hangs, when it is its turn, and ends who hangs first."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from bot import standby
from bot.models.environment import Environment
from bot.models.facts import OwnContainer
from bot.models.health import ContainerSnapshot, ContainerState, HealthStatus
from bot.models.ownership import Heartbeat, ProcessMark, Readiness, VoiceRecord
from bot.standby import VoiceKeeper
from bot.state import ownership
from bot.state.boot_clock import boot_id, boot_seconds
from bot.state.manager import StateManager

HUNG = ProcessMark(4711, 1, "pid:[1]")
SOON_SECONDS = 10.0


def container(name: str) -> ContainerSnapshot:
    return ContainerSnapshot(
        name, name, "discord-bot", ContainerState.RUNNING, HealthStatus.HEALTHY, "image", "image", "hash"
    )


class FakeEngine:
    """Know the containers of home, and whether a process can be reached."""

    def __init__(self) -> None:
        self.there = [container("own")]
        self.reaches = True
        self.ended: list[ProcessMark] = []

    async def containers(self, environment: Environment) -> tuple[ContainerSnapshot, ...]:
        return tuple(self.there)

    async def last_words(self, environment: Environment, container_id: str) -> str:
        return ""

    async def end_process(self, mark: ProcessMark) -> bool:
        self.ended.append(mark)
        return self.reaches

    async def kill_orphans(self, instance_id: str) -> int:
        return 0


class Bot:
    """Stand by on a journal."""

    def __init__(self, state: StateManager, folder: Path) -> None:
        self.engine = FakeEngine()
        self.active = asyncio.Event()
        self.fit = True
        self._state = state
        application = SimpleNamespace(
            state=state,
            engine=self.engine,
            environments={"dev": Environment("dev", "home", folder, ())},
            own_container=self._own_container,
            held_voice=SimpleNamespace(record=None),
        )
        self.keeper = VoiceKeeper(application, self._readiness, self._begin, self._end)

    async def is_active_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self.active.wait()
        except TimeoutError:
            return False
        return True

    def _readiness(self) -> Readiness:
        return Readiness(gateway_ready=self.fit, cogs_loaded=True)

    async def _own_container(self, environment: Environment) -> OwnContainer:
        return OwnContainer("own", "own", "home", "discord-bot")

    async def _begin(self) -> None:
        self.active.set()

    async def _end(self) -> None:
        self.active.clear()


@pytest.fixture
async def other(tmp_path: Path, monkeypatch) -> AsyncIterator[StateManager]:
    """Be the bot that has the voice."""
    monkeypatch.setattr(standby, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(standby, "CERTAIN_SECONDS", 0.6)
    monkeypatch.setattr(ownership, "LEASE_SECONDS", 0.1)
    async with StateManager(tmp_path) as state:
        await state.ownership.beat(Heartbeat(state.instance_id, boot_id(), boot_seconds(), process=HUNG))
        yield state


@pytest.fixture
async def voice(other: StateManager) -> VoiceRecord:
    return await other.ownership.acquire()


@pytest.fixture
async def bot(tmp_path: Path, voice: VoiceRecord) -> AsyncIterator[Bot]:
    async with StateManager(tmp_path) as state:
        bot = Bot(state, tmp_path)
        running = asyncio.create_task(bot.keeper.run())
        yield bot
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_one_that_hangs_is_ended_before_its_voice_is_taken(bot):
    assert await bot.is_active_within(SOON_SECONDS)
    assert bot.engine.ended == [HUNG]


async def test_one_that_cannot_be_reached_keeps_its_voice_and_is_refused_nothing(bot, other, voice):
    bot.engine.reaches = False
    assert not await bot.is_active_within(1.5)
    assert (await other.ownership.renew(voice)).token == voice.token


async def test_one_that_is_only_slow_keeps_its_voice(bot, other, voice):
    """Its lease has lapsed at every look, as after a sleep of the machine, but it is renewed again and again."""
    for _ in range(6):
        assert not await bot.is_active_within(0.3)
        voice = await other.ownership.renew(voice)
    assert bot.engine.ended == []


async def test_one_that_is_not_fit_leaves_a_dead_ones_voice_to_a_container_that_comes_back(bot, other):
    bot.fit = False
    bot.engine.there.append(container("other"))
    other.instance.withdraw()  # it has died
    assert not await bot.is_active_within(1.0)
    bot.fit = True
    assert await bot.is_active_within(SOON_SECONDS)


async def test_one_that_is_not_fit_and_alone_takes_it(bot, other):
    bot.fit = False
    other.instance.withdraw()
    assert await bot.is_active_within(SOON_SECONDS)
