"""A Swarm that keeps objects, and loses answers or its quorum when it is told to."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from roas.models.deployment import Freeze
from roas.state.manager import StateManager
from roas.state.shared.objects import StoreAwayError, Stored, TakenError, Term
from tests.unit.state.journal.journal_work import DORA

KEY = b"a key of thirty-two characters ..."


async def lead(state: StateManager, token: int, *, seconds: float = 60.0) -> None:
    """Let a bot lead by a token, for so long by its clock."""
    await state.take_over(Term(token, f"node{token}", time.monotonic() + seconds))


def freeze(environment: str = "prod") -> Freeze:
    """Return a freeze: a row that all bots come to have."""
    return Freeze(environment, DORA, "an audit", datetime(2026, 12, 1, tzinfo=UTC))


class KeptObjects:
    """Keep objects in memory as a Swarm's managers do."""

    def __init__(self) -> None:
        self.objects: dict[str, Stored] = {}
        self.is_away = False
        # How many answers of writes are lost from now on, after what was asked was done.
        self.lost_answers = 0
        self._lock = threading.Lock()
        self._ids = 0

    def create(self, name: str, data: bytes) -> None:
        """Write an object."""
        with self._lock:
            self._require()
            if name in self.objects:
                raise TakenError(name)
            self._ids += 1
            self.objects[name] = Stored(str(self._ids), name, 1, data, {})
            self._lose_answer()

    def read(self, name: str) -> Stored | None:
        """Return an object, or None."""
        self._require()
        return self.objects.get(name)

    def relabel(self, seen: Stored, labels: Mapping[str, str]) -> None:
        """Change labels, over the version that was seen."""
        with self._lock:
            self._require()
            if self.objects[seen.name].version != seen.version:
                raise TakenError(seen.name)
            self.objects[seen.name] = replace(seen, version=seen.version + 1, labels=dict(labels))
            self._lose_answer()

    def all(self) -> Sequence[Stored]:
        """Return all objects."""
        self._require()
        return tuple(self.objects.values())

    def remove(self, name: str) -> None:
        """Remove an object."""
        self._require()
        self.objects.pop(name, None)

    def node(self) -> str:
        """Return what the machine is called."""
        return "node1"

    def names(self, beginning: str) -> list[str]:
        """Return the names of the objects that begin so."""
        return sorted(name for name in self.objects if name.startswith(beginning))

    def _require(self) -> None:
        if self.is_away:
            raise StoreAwayError("no leader")

    def _lose_answer(self) -> None:
        if self.lost_answers:
            self.lost_answers -= 1
            raise StoreAwayError("timed out")
