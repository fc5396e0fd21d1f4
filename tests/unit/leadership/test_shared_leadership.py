"""Bots on several machines: one leads, stops when it cannot renew the lease, and the other goes on."""

import asyncio
import threading
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from roas.concurrency import pause
from roas.leadership import shared_leadership
from roas.leadership.shared_leadership import SharedLeadership
from roas.state.manager import StateManager
from roas.state.shared import lease as shared_lease
from roas.state.shared.lease import LeaseHolder
from roas.state.shared.log import SharedLog
from roas.state.shared.objects import SealedObjects
from roas.state.shared.sealing import Seal
from tests.unit.state.journal.journal_work import write
from tests.unit.state.shared.shared_swarm import KeptObjects


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    """A tenth of a second in the place of five."""
    monkeypatch.setattr(shared_leadership, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(shared_leadership, "RENEWED_EVERY_SECONDS", 0.1)
    monkeypatch.setattr(shared_leadership, "READY_PEER_SECONDS", 0.5)
    monkeypatch.setattr(shared_lease, "LEASE_SECONDS", 1.0)
    monkeypatch.setattr(shared_lease, "HELD_SECONDS", 0.7)


@dataclass
class Machine:
    """One bot, the Swarm as it sees it, and what happened to it."""

    swarm: KeptObjects
    state: StateManager
    leadership: SharedLeadership
    happened: list[str] = field(default_factory=list)
    is_ready: bool = True


@asynccontextmanager
async def machine(folder, objects):
    """Run a bot on a machine of its own; it may be cut off from the managers by itself."""
    swarm = KeptObjects()
    swarm.objects = objects
    log = SharedLog(SealedObjects(swarm, Seal(b"k" * 32)), folder)
    async with StateManager(folder, shared=log) as state:
        made = Machine(swarm, state, None)

        async def stepped_down():
            made.happened.append("stepped down")

        async def fenced():
            made.happened.append("fenced off")

        holder = LeaseHolder(swarm, state.instance_id)
        made.leadership = SharedLeadership(state, log, holder, lambda: made.is_ready, stepped_down, fenced)
        yield made


async def until(holds):
    async with asyncio.timeout(20):
        while not holds():
            await pause(0.01)


def beat(one, label=shared_lease.Label.BEAT):
    """Return a number that the lease says."""
    return int(one.swarm.objects["lease"].labels.get(label) or 0)


@pytest.fixture
async def two(tmp_path):
    objects = {}
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(machine(tmp_path / name, objects)) for name in ("one", "two")]


async def test_one_of_two_leads_and_the_other_has_what_it_writes(two):
    one, other = two
    async with one.leadership.held():
        await until(one.leadership.may_lead)
        async with other.leadership.held():
            await write(one.state, 3)
            await until(lambda: other.state.shared.head == one.state.shared.head)
            assert await other.state.changes() == await one.state.changes()
            assert not other.leadership.may_lead()
            assert other.happened == []


async def test_standby_reads_the_log_as_often_as_the_lease_is_renewed(two):
    one, other = two
    async with one.leadership.held():
        await until(one.leadership.may_lead)
        async with other.leadership.held():
            await until(lambda: other.state.shared.head == one.state.shared.head > 0)
            read, asked = other.swarm.read, []

            def read_and_count(name):
                asked.append((name, beat(one)))
                return read(name)

            other.swarm.read = read_and_count
            first = beat(one)
            await until(lambda: beat(one) >= first + 5)
            of_entries = [name for name, _ in asked if name.startswith("entry.")]
            assert len(of_entries) <= beat(one) - first + 1


async def test_other_leads_once_it_is_given_the_lead(two):
    one, other = two
    async with other.leadership.held():
        await until(other.leadership.may_lead)
        async with one.leadership.held():
            assert not one.leadership.may_lead()
    async with one.leadership.held():
        await until(one.leadership.may_lead)
        assert one.happened == []  # nobody is to be fenced off who said goodbye
        assert "stepped down" in other.happened


async def test_leader_that_is_cut_off_stops_before_the_other_leads(two):
    one, other = two
    both = []
    async with one.leadership.held(), other.leadership.held():
        await until(lambda: one.leadership.may_lead() or other.leadership.may_lead())
        leader, standby = (one, other) if one.leadership.may_lead() else (other, one)
        leader.swarm.is_away = True

        def other_leads():
            both.append(leader.leadership.may_lead() and standby.leadership.may_lead())
            return standby.leadership.may_lead()

        await until(other_leads)
        assert not any(both)
        assert standby.happened == ["fenced off"]
        await until(lambda: leader.happened == ["stepped down"])
        leader.swarm.is_away = False
        await write(standby.state, 1)
        await until(lambda: leader.state.shared.head == standby.state.shared.head)
        assert not leader.leadership.may_lead()


async def test_without_a_quorum_nobody_leads_and_then_one_does(two):
    one, other = two
    async with one.leadership.held(), other.leadership.held():
        await until(lambda: one.leadership.may_lead() or other.leadership.may_lead())
        one.swarm.is_away = other.swarm.is_away = True
        await until(lambda: not one.leadership.may_lead() and not other.leadership.may_lead())
        one.swarm.is_away = other.swarm.is_away = False
        await until(lambda: one.leadership.may_lead() or other.leadership.may_lead())
        assert not (one.leadership.may_lead() and other.leadership.may_lead())


async def test_lease_is_renewed_while_a_takeover_takes_long(two):
    """A Swarm that lost its state is given all of it, which may take longer than the lease lasts."""
    one, other = two
    create, is_given = one.swarm.create, threading.Event()

    def create_late(name, data):
        if name.startswith("entry."):
            is_given.wait(20)
        create(name, data)

    one.swarm.create = create_late
    async with one.leadership.held():
        await until(lambda: one.state.shared.objects.term is not None)
        async with other.leadership.held():
            await until(lambda: beat(one) >= 15 or beat(one, shared_lease.Label.TOKEN) > 1)
            is_given.set()
            await until(lambda: one.leadership.may_lead() or other.leadership.may_lead())
            assert one.leadership.may_lead()
            assert not other.leadership.may_lead()


async def test_leader_whose_lease_is_of_an_older_state_gives_the_swarm_what_it_lacks(two):
    one, other = two
    async with one.leadership.held():
        await until(one.leadership.may_lead)
        older = dict(one.swarm.objects)
        await write(one.state, 3)
        await until(lambda: beat(one) > int(older["lease"].labels[shared_lease.Label.BEAT]) + 1)
        one.swarm.objects.clear()
        one.swarm.objects.update(older)
        await until(lambda: "stepped down" in one.happened)
        await until(one.leadership.may_lead)
        await other.state.catch_up()
        assert await other.state.changes() == await one.state.changes()


async def test_answer_that_is_lost_when_taking_the_lease(two):
    one, _ = two
    one.swarm.lost_answers = 2
    async with one.leadership.held():
        await until(one.leadership.may_lead)
        await write(one.state, 1)


async def test_who_is_not_connected_lets_another_lead(two):
    one, other = two
    one.is_ready = False
    async with one.leadership.held():
        await pause(0.1)
        async with other.leadership.held():
            await until(other.leadership.may_lead)
            assert not one.leadership.may_lead()


async def test_who_is_not_connected_leads_where_nobody_else_does(two):
    one, _ = two
    one.is_ready = False
    async with one.leadership.held():
        await until(one.leadership.may_lead)
