"""Hold the lease by which one bot leads those of several machines: the labels of a config that all managers agree on.

A write over a version that somebody has written since is refused, so that of two who take it, one does. It blocks, in a
thread of its own: who leads has to say so, whatever the journal waits for.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from roas.state.shared.objects import Store, Stored, TakenError, Term

NAME = "lease"
# Its content says nothing: what it says are its labels.
CONTENT = b"lease"
# How long a bot that does not renew it leads, by the others' clocks; a Raft election takes some twenty seconds.
LEASE_SECONDS = 30.0
# And by its own clock, from before it asked: what is on its way then arrives while nobody else leads.
HELD_SECONDS = 25.0
RENEWED_EVERY_SECONDS = 5.0
# An answer that came this long after the one before says nothing of the time in between.
LOOK_SECONDS = 0.5
MOST_BETWEEN_LOOKS = 5.0


class Label(StrEnum):
    """Name what the lease says."""

    INSTANCE = "io.roas.lease.instance"
    NODE = "io.roas.lease.node"
    TOKEN = "io.roas.lease.token"  # noqa: S105 - no secret
    BEAT = "io.roas.lease.beat"
    HEAD = "io.roas.lease.head"


@dataclass(frozen=True, slots=True)
class SharedLease:
    """Say who leads, by which token, and up to which entry the log had come when that was written."""

    instance_id: str
    node: str
    token: int
    beat: int = 0
    head: int = 0

    @property
    def is_held(self) -> bool:
        """Return whether anybody holds it; who is told to stop gives it away."""
        return bool(self.instance_id)

    def labels(self) -> dict[str, str]:
        """Return it as labels."""
        return {
            Label.INSTANCE: self.instance_id,
            Label.NODE: self.node,
            Label.TOKEN: str(self.token),
            Label.BEAT: str(self.beat),
            Label.HEAD: str(self.head),
        }

    @classmethod
    def of(cls, stored: Stored) -> "SharedLease":
        """Read it from labels."""
        labels = stored.labels
        numbers = (int(labels.get(label) or 0) for label in (Label.TOKEN, Label.BEAT, Label.HEAD))
        return cls(labels.get(Label.INSTANCE, ""), labels.get(Label.NODE, ""), *numbers)


class LeaseClock:
    """Know for how long a lease was not renewed, by what was seen: a time without answers does not count."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: tuple[int, int] | None = None
        self._seconds = 0.0
        self._looked_at: float | None = None

    def has_lapsed(self, lease: SharedLease | None) -> bool:
        """Note what was seen just now; return whether nobody holds it, or its holder has not renewed it for so long."""
        now, before = self._clock(), self._looked_at
        self._looked_at = now
        mark = None if lease is None else (lease.token, lease.beat)
        if mark != self._seen or before is None:
            self._seen, self._seconds = mark, 0.0
        elif now - before <= MOST_BETWEEN_LOOKS:
            self._seconds += now - before
        return lease is None or not lease.is_held or self._seconds >= LEASE_SECONDS

    def no_answer(self) -> None:
        """Note that nothing could be seen."""
        self._looked_at = None if self._looked_at is None else self._clock()


class LeaseHolder:
    """Read, take, renew and give away the lease for one process."""

    def __init__(self, store: Store, instance_id: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._instance_id = instance_id
        self._clock = clock
        # The last beat of ours that the Swarm was seen to have.
        self._beat = 0

    def read(self) -> tuple[Stored | None, SharedLease | None]:
        """Return the lease as it is. Raises StoreAwayError."""
        stored = self._store.read(NAME)
        return stored, None if stored is None else SharedLease.of(stored)

    def take(self, seen: Stored | None, token: int) -> Term | None:
        """Take the lease as it was seen, by a token; returns None where another was quicker.

        Raises StoreAwayError.
        """
        began, node = self._clock(), self._store.node()
        taken = SharedLease(self._instance_id, node, token)
        try:
            if seen is None:
                self._store.create(NAME, CONTENT)
                seen = self._store.read(NAME)
            if seen is None:
                return None
            self._store.relabel(seen, taken.labels())
        except TakenError:
            return None
        self._beat = taken.beat
        return Term(token, node, began + HELD_SECONDS)

    def renew(self, token: int, head: int) -> float | None:
        """Renew the lease; returns until when it is held, None where it is another's. Raises StoreAwayError.

        Nor is it held where it is as it was before: the Swarm was made again of an older state, and who takes it then
        gives it what it lacks.
        """
        began = self._clock()
        stored, lease = self.read()
        if stored is None or lease is None or (lease.instance_id, lease.token) != (self._instance_id, token):
            return None
        if lease.beat < self._beat:
            return None
        self._beat = lease.beat
        try:
            self._store.relabel(stored, replace(lease, beat=lease.beat + 1, head=head).labels())
        except TakenError:
            return None
        self._beat += 1
        return began + HELD_SECONDS

    def give_away(self, token: int, head: int) -> None:
        """Let any other take the lease at once. Raises StoreAwayError."""
        stored, lease = self.read()
        if stored is not None and lease is not None and (lease.instance_id, lease.token) == (self._instance_id, token):
            try:
                self._store.relabel(stored, replace(lease, instance_id="", beat=lease.beat + 1, head=head).labels())
            except TakenError:
                return
