"""Read the journal in order for what is projected from it, and take a lost history back in."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from roas.models.change import ChangeType, StateChange
from roas.state.documents import from_row
from roas.state.journal import Journal
from roas.state.transaction import Transaction

AWAITED = "history awaited"
SOUGHT = "history sought"
# Whatever an unauthenticated server says, nothing of these comes back, not even as history.
NEVER_RESTORED_TYPES = frozenset(
    {ChangeType.LOCK_CHANGED, ChangeType.RELEASE_CREATED, ChangeType.RELEASE_ACTIVATED},
)
NEVER_RESTORED_SOURCES = frozenset({"approvals", "freezes", "locks", "ownership", "releases"})
RESTORED = "restored_from"


@dataclass(frozen=True, slots=True)
class Numbered:
    """Hold a change with its position in the journal."""

    sequence: int
    change: StateChange


class ProjectionSource:
    """Provide changes by their number, oldest first, and the unique id of this journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    @property
    def identity(self) -> str:
        """Return the unique id of this journal."""
        return self._journal.id

    async def after(self, sequence: int, limit: int) -> tuple[Numbered, ...]:
        """Return the changes that follow a number, oldest first. Raises StateError.

        One that means nothing to this version holds the rest up: a copy with a gap would pass for a whole one.
        """
        rows = await self._journal.read(
            lambda t: t.execute(
                "SELECT sequence, document FROM changes WHERE sequence > ? ORDER BY sequence LIMIT ?", (sequence, limit)
            ).fetchall()
        )
        return tuple(Numbered(row[0], from_row(StateChange, row[1])) for row in rows)

    async def id_at(self, sequence: int) -> str | None:
        """Return the id of the change with a number, or None. Raises StateError."""
        row = await self._journal.read(
            lambda t: t.execute("SELECT id FROM changes WHERE sequence = ?", (sequence,)).fetchone()
        )
        return None if row is None else str(row[0])

    async def await_history(self) -> None:
        """Record that this journal has no history, if so, in order to import one that appears later."""
        await self._journal.write(
            lambda t: t.execute(
                "INSERT OR IGNORE INTO projections (name, document) SELECT ?, '' WHERE NOT EXISTS"
                " (SELECT 1 FROM deployments) AND NOT EXISTS (SELECT 1 FROM releases)",
                (AWAITED,),
            )
        )

    async def awaits_history(self) -> bool:
        """Return whether this journal began without history and has not looked for one yet."""
        row = await self._journal.read(
            lambda t: t.execute(
                "SELECT EXISTS (SELECT 1 FROM projections WHERE name = ?)"
                " AND NOT EXISTS (SELECT 1 FROM projections WHERE name = ?)",
                (AWAITED, SOUGHT),
            ).fetchone()
        )
        return bool(row[0])

    async def restore(self, history: Sequence[StateChange], origin: str) -> int:
        """Import changes as history, each marked with its origin; returns how many were imported.

        Only rows of `changes` are written, from which nothing is ever decided: no owner, lock, approval or release.
        """
        kept = [_marked(change, origin) for change in history if may_be_restored(change)]

        def work(transaction: Transaction) -> int:
            known = {row[0] for row in transaction.execute("SELECT id FROM changes").fetchall()}
            new = {change.id: change for change in kept if change.id not in known}
            for change in new.values():
                _insert(transaction, change)
            transaction.execute("INSERT OR REPLACE INTO projections (name, document) VALUES (?, ?)", (SOUGHT, origin))
            return len(new)

        return await self._journal.write(work)


def may_be_restored(change: StateChange) -> bool:
    """Return whether a change may come back as history."""
    return change.type not in NEVER_RESTORED_TYPES and change.source not in NEVER_RESTORED_SOURCES


def _marked(change: StateChange, origin: str) -> StateChange:
    return replace(change, metadata={**change.metadata, RESTORED: origin})


def _insert(transaction: Transaction, change: StateChange) -> None:
    """Write a change without notifying subscribers: it happened long ago."""
    before = len(transaction.changes)
    transaction.add_change(change)
    del transaction.changes[before:]
