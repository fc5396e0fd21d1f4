"""A bot that stands by takes leadership of one that is dead or hangs, when it is its turn, and ends who hangs first."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roas.concurrency import end_tasks
from roas.leadership import elector, takeover
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest
from roas.models.health import HealthStatus
from roas.models.leader_lease import Heartbeat, LeaderLease
from roas.state import leader_lease as ownership
from roas.state.living_processes import boot_id, boot_seconds
from roas.state.manager import StateManager
from tests.unit.leadership.fake_home import HUNG, Bot, container, fail

SOON_SECONDS = 10.0


@pytest.fixture
async def other(tmp_path: Path, monkeypatch) -> AsyncIterator[StateManager]:
    """Be the bot that leads."""
    monkeypatch.setattr(elector, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(takeover, "LAPSE_CONFIRM_SECONDS", 0.6)
    monkeypatch.setattr(ownership, "LEASE_SECONDS", 0.1)
    async with StateManager(tmp_path) as state:
        await state.ownership.beat(Heartbeat(state.instance_id, boot_id(), boot_seconds(), process=HUNG))
        yield state


@pytest.fixture
async def leadership(other: StateManager) -> LeaderLease:
    return await other.ownership.acquire()


@pytest.fixture
async def bot(tmp_path: Path, leadership: LeaderLease) -> AsyncIterator[Bot]:
    async with StateManager(tmp_path) as state:
        bot = Bot(state)
        running = asyncio.create_task(bot.elector.run())
        yield bot
        await end_tasks(running)


async def test_hung_leader_ended_before_takeover(bot):
    assert await bot.is_active_within(SOON_SECONDS)
    assert bot.engine.ended == [HUNG]


async def test_unreachable_leader_keeps_leadership(bot, other, leadership):
    bot.engine.reaches = False
    assert not await bot.is_active_within(1.5)
    assert (await other.ownership.renew(leadership)).token == leadership.token


async def test_lease_renewed_during_inspection_kept(bot, other, leadership):
    """A leader that renews its lease while its container is inspected is left alone."""
    asked = asyncio.Event()

    async def renew() -> None:
        asked.set()
        await other.ownership.renew(leadership)

    beat = Heartbeat(other.instance_id, boot_id(), boot_seconds(), container_id="other", process=HUNG)
    await other.ownership.beat(beat)
    bot.engine.there.append(container("other"))
    bot.engine.while_looking = renew
    async with asyncio.timeout(SOON_SECONDS):
        await asked.wait()
    assert not await bot.is_active_within(0.3)
    assert [item.id for item in bot.engine.there] == ["own", "other"]


async def hand_over(other: StateManager, leadership: LeaderLease) -> None:
    """Let the other bot lead as a successor that a deployment was handed over to."""
    await other.ownership.renew(leadership)
    request = DeploymentRequest("dev", DeploymentKind.DEPLOY, Actor(ActorKind.SYSTEM, "0", "root"), version="v2")
    handed_over = Deployment(
        "DEPLOY-1", request, "standard", "COR-1", datetime.now(UTC), handed_over_to=other.instance_id
    )
    await other.deployments.create(handed_over, "deploy v2")
    await other.ownership.beat(Heartbeat(other.instance_id, boot_id(), boot_seconds(), container_id="other"))


async def test_unready_bot_takes_back_from_unhealthy_successor(bot, other, leadership, monkeypatch):
    """Discord may be away for both; the successor is no other that would do better."""
    monkeypatch.setattr(ownership, "LEASE_SECONDS", 60.0)
    bot.ready = False
    await hand_over(other, leadership)
    assert not await bot.is_active_within(0.3)
    bot.engine.there.append(container("other", HealthStatus.UNHEALTHY))
    assert await bot.is_active_within(SOON_SECONDS)
    assert [item.id for item in bot.engine.there] == ["own"]
    assert (await other.deployments.get("DEPLOY-1")).problem.key == "successor_failed"


@pytest.mark.parametrize("stopped", [True, False])
async def test_successor_that_was_told_to_stop_is_not_blamed(bot, other, leadership, monkeypatch, stopped):
    """Somebody's `docker compose restart`, or a reboot, says nothing of its version: its deployment is resumed."""
    monkeypatch.setattr(takeover, "LAPSE_CONFIRM_SECONDS", 60.0)
    await hand_over(other, leadership)
    last = Heartbeat(other.instance_id, boot_id(), boot_seconds(), process=HUNG, stopped=stopped)
    await other.ownership.beat(last)
    other.instance.withdraw()
    assert await bot.is_active_within(SOON_SECONDS)
    problem = (await bot._state.deployments.get("DEPLOY-1")).problem
    assert (problem is None) is stopped


async def test_deployment_of_dead_successor_is_taken_back(bot, other, leadership, monkeypatch):
    """Its lease is still good for a while, and nobody holds it."""
    monkeypatch.setattr(ownership, "LEASE_SECONDS", 60.0)
    await hand_over(other, leadership)
    await other.close()
    assert await bot.is_active_within(SOON_SECONDS)
    assert bot.engine.ended == []
    assert (await bot._state.deployments.get("DEPLOY-1")).problem.key == "successor_failed"


@pytest.mark.parametrize(
    ("broken", "grace"),
    [(("beat_and_renew", "lease"), 0.8), (("beat_and_renew",), 60.0)],
    ids=["unreadable", "not writable"],
)
async def test_unreadable_journal_delays_taking_back(bot, other, leadership, monkeypatch, broken, grace):
    """It makes every bot unhealthy, and says nothing of the successor for a while; one that is read says it at once."""
    monkeypatch.setattr(ownership, "LEASE_SECONDS", 60.0)
    monkeypatch.setattr(takeover, "JOURNAL_GRACE_SECONDS", grace)
    await hand_over(other, leadership)
    with monkeypatch.context() as patch:
        for name in broken:
            patch.setattr(bot._state.ownership, name, fail)
        assert not await bot.is_active_within(0.3)
    bot.engine.there.append(container("other", HealthStatus.UNHEALTHY))
    if "lease" in broken:
        assert not await bot.is_active_within(0.3)
    assert await bot.is_active_within(SOON_SECONDS)


@pytest.mark.usefixtures("hurried_time")
async def test_unexpected_fault_keeps_leadership(bot, other):
    """An unforeseen fault ends neither the leadership nor its renewal."""
    bot.faults = [ZeroDivisionError() for _ in range(3)]
    other.instance.withdraw()
    assert await bot.is_active_within(SOON_SECONDS)
    held = await other.ownership.lease()
    async with asyncio.timeout(SOON_SECONDS):
        while (await other.ownership.lease()).lease_until <= held.lease_until:  # noqa: ASYNC110 - the journal says so
            await asyncio.sleep(0.1)


async def test_slow_leader_keeps_leadership(bot, other, leadership):
    """Its lease has lapsed at every look, as after a sleep of the machine, but it is renewed again and again."""
    for _ in range(6):
        assert not await bot.is_active_within(0.3)
        leadership = await other.ownership.renew(leadership)
    assert bot.engine.ended == []


async def test_unready_standby_waits_for_restarting_leader(bot, other):
    """A bot that is not ready leaves leadership to a dead one whose container comes back."""
    bot.ready = False
    bot.engine.there.append(container("other"))
    other.instance.withdraw()  # it has died
    assert not await bot.is_active_within(1.0)
    bot.ready = True
    assert await bot.is_active_within(SOON_SECONDS)


async def test_unready_sole_bot_takes_leadership(bot, other):
    bot.ready = False
    other.instance.withdraw()
    assert await bot.is_active_within(SOON_SECONDS)
