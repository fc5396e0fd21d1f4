"""A bot that stands by ends one that was stopped in the middle of a write, and no other."""

import asyncio
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roas.concurrency import end_tasks
from roas.leadership.elector import LeaderElector
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest
from roas.models.health import HealthStatus
from roas.state.journal import journal
from roas.state.journal.place import JOURNAL_NAME
from roas.state.manager import StateManager
from testbed.waiting import wait_until
from tests.unit.leadership.fake_home import FakeHome, container, elector_of
from tests.unit.log_lines import captured_logs


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


def keeper_of(state: StateManager, home: FakeHome, activated: asyncio.Event) -> LeaderElector:
    async def start_leading() -> None:
        activated.set()

    async def stop_leading() -> None:
        return

    return elector_of(state, home, start_leading, stop_leading)


def home_beside(health: HealthStatus, held: sqlite3.Connection) -> FakeHome:
    """Return a home where another bot holds the journal; the kernel drops what the dead process held."""
    home = FakeHome(container("other", health))
    home.when_removed = held.rollback
    return home


async def run_until(elector: LeaderElector, happened: asyncio.Event) -> None:
    running = asyncio.create_task(elector.run())
    try:
        async with asyncio.timeout(10):
            await happened.wait()
    finally:
        await end_tasks(running)


async def test_hung_leader_holding_journal_ended(state, held, tmp_path):
    engine, activated = home_beside(HealthStatus.UNHEALTHY, held), asyncio.Event()
    await run_until(keeper_of(state, engine, activated), activated)
    assert [item.id for item in engine.there] == ["own"]


async def test_failure_output_survives_blocked_journal(state, held, tmp_path):
    """The failure output of a successor is reported though the journal could not be written."""
    held.rollback()
    async with StateManager(tmp_path) as other:
        await other.ownership.acquire()
        request = DeploymentRequest("dev", DeploymentKind.DEPLOY, Actor(ActorKind.SYSTEM, "0", "root"), version="v2")
        deployment = Deployment(
            "DEPLOY-1", request, "standard", "COR-1", datetime.now(UTC), handed_over_to=other.instance_id
        )
        await other.deployments.create(deployment, "deploy v2")
        held.execute("BEGIN IMMEDIATE")
        engine, activated = home_beside(HealthStatus.UNHEALTHY, held), asyncio.Event()

        def die() -> None:
            held.rollback()
            other.instance.withdraw()

        engine.when_removed = die
        await run_until(keeper_of(state, engine, activated), activated)
    problem = (await state.deployments.get("DEPLOY-1")).problem
    assert problem.report == "the last output of other"
    assert "it hangs" in problem.message


async def test_healthy_leader_holding_journal_kept(state, held, tmp_path):
    engine, activated = home_beside(HealthStatus.HEALTHY, held), asyncio.Event()
    await run_until(keeper_of(state, engine, activated), engine.looked)
    assert len(engine.there) == 2
    assert not activated.is_set()


async def test_lease_from_nobody_is_written_once(state, held, tmp_path, monkeypatch):
    """A start waits for two commits until it leads: of its heartbeat, and of the lease."""
    held.rollback()
    activated, commits, journal = asyncio.Event(), [], state._journal

    def note(name: str) -> None:
        write = getattr(journal, name)

        async def noted(*arguments, **options):
            if not activated.is_set():
                commits.append(name)
            return await write(*arguments, **options)

        monkeypatch.setattr(journal, name, noted)

    note("beat")
    note("write")
    engine = home_beside(HealthStatus.HEALTHY, held)
    await run_until(keeper_of(state, engine, activated), activated)
    assert commits == ["beat", "write"]


async def test_bot_that_is_started_beside_another_says_so(tmp_path: Path) -> None:
    """Somebody starts it twice: the second one is connected, and answers nothing."""
    engine = FakeHome(container("other"))
    leads, never = asyncio.Event(), asyncio.Event()
    async with StateManager(tmp_path) as first, StateManager(tmp_path) as second:
        leader = asyncio.create_task(keeper_of(first, engine, leads).run())
        await asyncio.wait_for(leads.wait(), 10)
        with captured_logs() as logs:
            standby = asyncio.create_task(keeper_of(second, engine, never).run())
            assert await asyncio.to_thread(wait_until, lambda: any("on standby" in log["event"] for log in logs), 10)
            await end_tasks(standby, leader)
        assert [log["leader"] for log in logs if "on standby" in log["event"]] == [first.instance_id]
        assert not never.is_set()
