"""A bot that stands by ends one that was stopped in the middle of a write, and no other."""

import asyncio
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest

from bot.models.environment import Environment
from bot.models.facts import OwnContainer
from bot.models.health import ContainerSnapshot, ContainerState, HealthStatus
from bot.models.ownership import Readiness
from bot.standby import VoiceKeeper
from bot.state import journal
from bot.state.manager import JOURNAL_NAME, StateManager
from bot.state.ownership import HeldVoice


def container(name: str, health: HealthStatus) -> ContainerSnapshot:
    return ContainerSnapshot(name, name, "discord-bot", ContainerState.RUNNING, health, "i", "i", "h")


class FakeEngine:
    def __init__(self, other: ContainerSnapshot, held: sqlite3.Connection) -> None:
        self.there = [container("own", HealthStatus.HEALTHY), other]
        self.held = held
        self.looked = asyncio.Event()

    async def containers(self, environment: Environment) -> tuple[ContainerSnapshot, ...]:
        self.looked.set()
        return tuple(self.there)

    async def remove(self, environment: Environment, container_id: str, *, grace_seconds: float) -> None:
        self.there = [one for one in self.there if one.id != container_id]
        self.held.rollback()  # the kernel lets go of what the dead process held


@pytest.fixture
async def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(journal, "BUSY_TIMEOUT_MILLISECONDS", 50)
    async with StateManager(tmp_path) as state:
        yield state


@pytest.fixture
def held(state: StateManager):
    connection = sqlite3.connect(state.folder / JOURNAL_NAME, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


def keeper_of(state: StateManager, engine: FakeEngine, tmp_path: Path, activated: asyncio.Event) -> VoiceKeeper:
    async def own_container(environment: Environment) -> OwnContainer:
        return OwnContainer("own", "own", "home", "discord-bot")

    async def activate() -> None:
        activated.set()

    async def silence() -> None:
        return

    environments = {"dev": Environment("dev", "home", tmp_path, ())}
    application = SimpleNamespace(
        state=state,
        engine=engine,
        environments=environments,
        own_container=own_container,
        held_voice=HeldVoice(),
    )
    return VoiceKeeper(application, lambda: Readiness(gateway_ready=True, cogs_loaded=True), activate, silence)


async def run_until(keeper: VoiceKeeper, happened: asyncio.Event) -> None:
    running = asyncio.create_task(keeper.run())
    try:
        async with asyncio.timeout(10):
            await happened.wait()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_one_that_hangs_with_the_journal_in_its_hands_is_ended(state, held, tmp_path):
    engine, activated = FakeEngine(container("other", HealthStatus.UNHEALTHY), held), asyncio.Event()
    await run_until(keeper_of(state, engine, tmp_path, activated), activated)
    assert [one.id for one in engine.there] == ["own"]


async def test_one_that_is_well_is_left_alone_whoever_holds_the_journal(state, held, tmp_path):
    engine, activated = FakeEngine(container("other", HealthStatus.HEALTHY), held), asyncio.Event()
    await run_until(keeper_of(state, engine, tmp_path, activated), engine.looked)
    assert len(engine.there) == 2
    assert not activated.is_set()
