"""At any moment at most one bot is the leader."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roas.errors import FencedOffError
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest, ServiceProgress, ServiceStep
from roas.models.leader_lease import Heartbeat
from roas.models.stored import new_id
from roas.state.journal.place import JOURNAL_NAME
from roas.state.leader_lease import lease_has_lapsed
from roas.state.leadership import Leadership
from roas.state.living_processes import boot_id, boot_seconds
from roas.state.manager import StateManager
from roas.state.transaction import Fence


@pytest.fixture
async def old(tmp_path: Path) -> AsyncIterator[StateManager]:
    async with StateManager(tmp_path) as state:
        yield state


@pytest.fixture
async def new(tmp_path: Path, old: StateManager) -> AsyncIterator[StateManager]:
    async with StateManager(tmp_path) as state:
        yield state


def a_deployment() -> Deployment:
    request = DeploymentRequest("prod", DeploymentKind.DEPLOY, Actor(ActorKind.SYSTEM, "0", "root"), version="v2")
    return Deployment(new_id("DEPLOY"), request, "standard", new_id("COR"), datetime.now(UTC))


async def test_first_bot_leads_second_on_standby(old, new):
    assert await old.ownership.acquire() is not None
    assert await new.ownership.acquire() is None
    assert (await new.ownership.lease()).instance_id == old.instance_id


async def test_leadership_of_dead_bot_is_free(tmp_path, new):
    dead = StateManager(tmp_path)
    await dead.open()
    held = await dead.ownership.acquire()
    await dead.close()
    taken = await new.ownership.acquire()
    assert taken is not None
    assert taken.token > held.token


async def test_leader_steps_down_before_successor_leads(old, new):
    """A leader whose handover fails leads on."""
    record = await old.ownership.acquire()
    deployment = a_deployment()
    fence = await old.deployments.create(deployment, "deploy v2")
    leadership = Leadership()

    async def pass_on(fence: Fence) -> None:
        async def writing() -> None:
            assert not leadership.is_leader
            await old.ownership.transfer(record, deployment, fence, new.instance_id)

        await leadership.transfer(writing())

    with pytest.raises(FencedOffError):
        await pass_on(replace(fence, token=99))
    assert leadership.is_leader
    await pass_on(fence)
    assert not leadership.is_leader


@pytest.mark.parametrize("is_given_up", [False, True], ids=["and is passed on", "and is not"])
@pytest.mark.usefixtures("hurried_time")
async def test_cancelled_handover_awaits_decision(old, new, is_given_up):
    """A caller that is cancelled while the journal is held waits until the leader is decided."""
    record = await old.ownership.acquire()
    deployment = a_deployment()
    fence = await old.deployments.create(deployment, "deploy v2")
    leadership = Leadership()
    leadership.lease = record
    with closing(sqlite3.connect(old.folder / JOURNAL_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        wanted = replace(fence, token=99) if is_given_up else fence
        passing = asyncio.create_task(
            leadership.transfer(old.ownership.transfer(record, deployment, wanted, new.instance_id))
        )
        await asyncio.sleep(0.2)
        assert not leadership.is_leader
        assert leadership.is_transferred(record)  # a renewal that came before makes nobody the leader
        passing.cancel()
        other.rollback()
    with pytest.raises(asyncio.CancelledError):
        await passing
    assert (await new.ownership.lease()).instance_id == (old if is_given_up else new).instance_id
    assert leadership.is_leader is is_given_up
    assert leadership.is_transferred(record) is not is_given_up


async def test_leadership_and_deployment_move_at_once(old, new):
    """The bot that handed them over changes nothing any more."""
    leadership = await old.ownership.acquire()
    deployment = a_deployment()
    fence = await old.deployments.create(deployment, "deploy v2")
    await old.ownership.transfer(leadership, deployment, fence, new.instance_id)
    lock = await new.locks.get("prod")
    assert lock.instance_id == new.instance_id
    assert lock.token > fence.token
    with pytest.raises(FencedOffError):
        await old.ownership.renew(leadership)
    with pytest.raises(FencedOffError):
        await old.deployments.save_service(deployment, ServiceProgress("web", ServiceStep.STARTING), fence)
    with pytest.raises(FencedOffError):
        await old.ownership.transfer(leadership, deployment, fence, old.instance_id)


async def test_lease_renewed_and_lapses(old):
    leadership = await old.ownership.acquire()
    renewed = await old.ownership.renew(leadership)
    assert renewed.lease_until >= leadership.lease_until
    assert not lease_has_lapsed(renewed)
    assert lease_has_lapsed(replace(renewed, lease_until=boot_seconds() - 1))
    assert lease_has_lapsed(replace(renewed, boot_id="another boot"))


async def test_beat_renews_own_lease_only(old, new):
    """In one commit. What another process holds is only returned."""
    granted = await old.ownership.acquire()
    beats = {item: Heartbeat(item.instance_id, boot_id(), boot_seconds()) for item in (old, new)}
    assert await new.ownership.beat_and_renew(beats[new]) == granted
    renewed = await old.ownership.beat_and_renew(beats[old])
    assert renewed.token == granted.token
    assert renewed.lease_until > granted.lease_until
    assert await new.ownership.lease() == renewed
    assert await new.ownership.heartbeat(instance_id=old.instance_id) == beats[old]
    await new.ownership.seize(renewed)
    taken = await new.ownership.lease()
    assert await old.ownership.beat_and_renew(beats[old]) == taken


async def test_forced_takeover_needs_observed_leader(old, new):
    """It takes the deployments too."""
    seen = await old.ownership.acquire()
    deployment = a_deployment()
    fence = await old.deployments.create(deployment, "deploy v2")
    taken = await new.ownership.seize(seen)
    assert taken.instance_id == new.instance_id
    assert (await new.locks.get("prod")).instance_id == new.instance_id
    assert await new.ownership.seize(seen) is None
    with pytest.raises(FencedOffError):
        await old.deployments.update(deployment, fence)


async def test_process_known_by_last_heartbeat(old, new):
    first = Heartbeat(new.instance_id, boot_id(), boot_seconds(), container_id="abc")
    await new.ownership.beat(first)
    await new.ownership.beat(replace(first, beat_at=boot_seconds(), gateway_ready=True))
    assert (await old.ownership.heartbeat(container_id="abc")).gateway_ready
    assert (await old.ownership.heartbeat(instance_id=new.instance_id)).container_id == "abc"
    assert await old.ownership.heartbeat(container_id="xyz") is None
    assert await old.ownership.heartbeat(instance_id="nobody", container_id="") is None


async def test_living_bots_row_is_never_among_the_oldest(tmp_path, old, new):
    """The oldest rows are dropped."""

    async def beat(state: StateManager, container_id: str = "") -> None:
        await state.ownership.beat_and_renew(Heartbeat(state.instance_id, boot_id(), boot_seconds(), container_id))

    rows = []
    for number in range(3):
        await beat(old, "moved" if number == 1 else "")
        await new.ownership.beat(Heartbeat(f"CLI-{number}", boot_id(), boot_seconds()))
        with closing(sqlite3.connect(tmp_path / JOURNAL_NAME)) as connection:
            question = "SELECT rowid, container_id FROM heartbeats WHERE instance_id = ?"
            ((row, container),) = connection.execute(question, (old.instance_id,)).fetchall()
        assert container == ("moved" if number == 1 else "")
        rows.append(row)
    assert rows == sorted(set(rows)), "it is made anew at each beat"
