"""Who may take the lease, and when: by what was seen, and by nobody's wall clock."""

from dataclasses import replace

import pytest

from roas.state.shared.lease import HELD_SECONDS, LEASE_SECONDS, LeaseClock, LeaseHolder, SharedLease
from tests.unit.state.shared.shared_swarm import KeptObjects

HELD = SharedLease("BOT-1", "node1", 3, beat=7)


class Clock:
    """A monotonic clock that goes as a test wants."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def looks(watch, clock, lease, seconds, every=1.0):
    """Look at the same lease for some time; returns whether it has lapsed then."""
    has_lapsed = watch.has_lapsed(lease)
    for _ in range(int(seconds / every)):
        clock.now += every
        has_lapsed = watch.has_lapsed(lease)
    return has_lapsed


def test_lease_that_nobody_holds_is_free_at_once(clock):
    watch = LeaseClock(clock)
    assert watch.has_lapsed(None)
    assert watch.has_lapsed(replace(HELD, instance_id=""))


def test_lease_lapses_for_who_saw_no_renewal(clock):
    watch = LeaseClock(clock)
    assert not looks(watch, clock, HELD, LEASE_SECONDS - 1)
    assert looks(watch, clock, HELD, 1)


def test_renewal_counts_from_when_it_was_seen(clock):
    watch = LeaseClock(clock)
    looks(watch, clock, HELD, LEASE_SECONDS - 1)
    assert not looks(watch, clock, replace(HELD, beat=8), LEASE_SECONDS - 1)


def test_time_without_answers_does_not_count(clock):
    """Without a quorum the leader could not renew it, either."""
    watch = LeaseClock(clock)
    looks(watch, clock, HELD, LEASE_SECONDS - 2)
    for _ in range(100):
        clock.now += 1
        watch.no_answer()
    assert not looks(watch, clock, HELD, 1)
    assert looks(watch, clock, HELD, 3)


def test_time_in_which_this_process_was_stopped_does_not_count(clock):
    watch = LeaseClock(clock)
    watch.has_lapsed(HELD)
    clock.now += 500
    assert not watch.has_lapsed(HELD)


def test_holder_stops_before_the_others_take_it(clock):
    store = KeptObjects()
    holder = LeaseHolder(store, "BOT-1", clock)
    term = holder.take(None, 1)
    assert term is not None
    assert term.until == clock.now + HELD_SECONDS
    assert HELD_SECONDS < LEASE_SECONDS
    clock.now += 10
    assert holder.renew(1, 5) == clock.now + HELD_SECONDS


def test_time_on_the_way_is_not_held(clock):
    """It counts from before the manager was asked."""
    store = KeptObjects()
    relabel = store.relabel

    def slow(seen, labels):
        clock.now += 4
        relabel(seen, labels)

    store.relabel = slow
    term = LeaseHolder(store, "BOT-1", clock).take(None, 1)
    assert term is not None
    assert term.until == clock.now - 4 + HELD_SECONDS


def test_lease_of_another_is_not_renewed(clock):
    store = KeptObjects()
    one, two = LeaseHolder(store, "BOT-1", clock), LeaseHolder(store, "BOT-2", clock)
    assert one.take(None, 1) is not None
    seen, _ = two.read()
    assert two.take(seen, 2) is not None
    assert one.renew(1, 0) is None
    one.give_away(1, 0)
    assert two.read()[1].instance_id == "BOT-2"
