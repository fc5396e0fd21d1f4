"""A bot that stands by ends one that was stopped in the middle of a write, and no other."""

import asyncio
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from roas.concurrency import end_tasks
from roas.leadership.elector import LeaderElector
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest
from roas.models.environment import Environment
from roas.models.facts import OwnContainer
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.leader_lease import BotReadiness
from roas.models.stack import ServiceDefinition
from roas.stack.service_comparison import WantedService
from roas.state.journal import journal
from roas.state.journal.place import JOURNAL_NAME
from roas.state.leadership import Leadership
from roas.state.manager import StateManager
from testbed.waiting import wait_until
from tests.unit.leadership.every_peer import EveryPeer
from tests.unit.log_lines import captured_logs
from tests.unit.one_stack import OneStack


def container(name: str, health: HealthStatus) -> ContainerSnapshot:
    return ContainerSnapshot(name, name, "discord-bot", ContainerState.RUNNING, health, "i", "i", "h")


class FakeEngine(OneStack):
    def __init__(self, other: ContainerSnapshot, held: sqlite3.Connection) -> None:
        self.there = [container("own", HealthStatus.HEALTHY), other]
        self.looked = asyncio.Event()
        self.when_removed: Callable[[], None] = held.rollback  # the kernel drops what the dead process held

    async def containers(self) -> tuple[ContainerSnapshot, ...]:
        self.looked.set()
        return tuple(self.there)

    async def remove(self, container_id: str, *, grace_seconds: float) -> None:
        self.there = [item for item in self.there if item.id != container_id]
        self.when_removed()

    async def failure_output(self, container_id: str) -> str:
        return f"the last output of {container_id}"

    async def load_model(self, model_hash: str) -> dict[str, str]:
        return {}

    async def wanted_services(self, model: dict[str, str]) -> dict[str, WantedService]:
        return {"discord-bot": WantedService(ServiceDefinition("discord-bot", "", ""), "another hash")}


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


def keeper_of(state: StateManager, engine: FakeEngine, tmp_path: Path, activated: asyncio.Event) -> LeaderElector:
    async def own_container(environment: Environment) -> OwnContainer:
        return OwnContainer("own", "own", "home", "discord-bot")

    async def start_leading() -> None:
        activated.set()

    async def stop_leading() -> None:
        return

    environments = {"dev": Environment("dev", "home", tmp_path, ())}
    application = SimpleNamespace(
        state=state,
        stacks=engine,
        engines=environments,
        own_container=own_container,
        leadership=Leadership(is_leader=False),
        peers=EveryPeer(),
    )
    return LeaderElector(
        application, lambda: BotReadiness(gateway_ready=True, cogs_loaded=True), start_leading, stop_leading
    )


async def run_until(elector: LeaderElector, happened: asyncio.Event) -> None:
    running = asyncio.create_task(elector.run())
    try:
        async with asyncio.timeout(10):
            await happened.wait()
    finally:
        await end_tasks(running)


async def test_hung_leader_holding_journal_ended(state, held, tmp_path):
    engine, activated = FakeEngine(container("other", HealthStatus.UNHEALTHY), held), asyncio.Event()
    await run_until(keeper_of(state, engine, tmp_path, activated), activated)
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
        engine, activated = FakeEngine(container("other", HealthStatus.UNHEALTHY), held), asyncio.Event()

        def die() -> None:
            held.rollback()
            other.instance.withdraw()

        engine.when_removed = die
        await run_until(keeper_of(state, engine, tmp_path, activated), activated)
    problem = (await state.deployments.get("DEPLOY-1")).problem
    assert problem.report == "the last output of other"
    assert "it hangs" in problem.message


async def test_healthy_leader_holding_journal_kept(state, held, tmp_path):
    engine, activated = FakeEngine(container("other", HealthStatus.HEALTHY), held), asyncio.Event()
    await run_until(keeper_of(state, engine, tmp_path, activated), engine.looked)
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
    engine = FakeEngine(container("other", HealthStatus.HEALTHY), held)
    await run_until(keeper_of(state, engine, tmp_path, activated), activated)
    assert commits == ["beat", "write"]


async def test_bot_that_is_started_beside_another_says_so(tmp_path: Path) -> None:
    """Somebody starts it twice: the second one is connected, and answers nothing."""
    engine = FakeEngine(container("other", HealthStatus.HEALTHY), SimpleNamespace(rollback=lambda: None))
    leads, never = asyncio.Event(), asyncio.Event()
    async with StateManager(tmp_path) as first, StateManager(tmp_path) as second:
        leader = asyncio.create_task(keeper_of(first, engine, tmp_path, leads).run())
        await asyncio.wait_for(leads.wait(), 10)
        with captured_logs() as logs:
            standby = asyncio.create_task(keeper_of(second, engine, tmp_path, never).run())
            assert await asyncio.to_thread(wait_until, lambda: any("on standby" in log["event"] for log in logs), 10)
            await end_tasks(standby, leader)
        assert [log["leader"] for log in logs if "on standby" in log["event"]] == [first.instance_id]
        assert not never.is_set()
