"""Keep the history within bounds, and read all of it for an archive."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from roas.models.deployment import Deployment
from roas.models.state_change import StateChange
from roas.state.deployments.rows import read_after
from roas.state.documents import readable
from roas.state.journal.journal import Journal
from roas.state.transaction import Transaction

# A wall clock that is years ahead makes everything old: the newest changes stay whatever their time says.
FEWEST_CHANGES = 1000
# Rows that one transaction drops: other writers wait for it.
DROPPED_AT_ONCE = 5000
READ_AT_ONCE = 500
# A container may be there for long after its last heartbeat, which proves that it belongs to this journal.
HEARTBEATS_KEPT = 500
DEPLOYMENTS_KEPT = 5000


@dataclass(frozen=True, slots=True)
class HistoryBounds:
    """Set how long changes are kept, and how many at most."""

    days: float
    rows: int


class History:
    """Prune and export what nothing is decided by any more."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def prune(self, bounds: HistoryBounds) -> int:
        """Drop the changes, heartbeats and ended deployments that are beyond their bounds; returns how many changes.

        What is left for the next time, where there is much, is dropped by the next call.
        """
        cutoff = (datetime.now(UTC) - timedelta(days=bounds.days)).isoformat()
        boundary = await self._journal.read(lambda transaction: _boundary(transaction, cutoff, bounds.rows))
        dropped = await self._journal.write(lambda transaction: _drop_changes(transaction, boundary)) if boundary else 0
        if await self._journal.read(_is_beyond):
            await self._journal.write(_drop_rest)
        return dropped

    async def changes(self) -> AsyncIterator[tuple[int, StateChange]]:
        """Yield every change that is kept, with its number, oldest first. Raises StateError."""
        read = 0
        while rows := await self._journal.read(partial(Transaction.changes_after, sequence=read, limit=READ_AT_ONCE)):
            read = rows[-1][0]
            for sequence, document in rows:
                for change in readable(StateChange, [document]):
                    yield sequence, change

    async def deployments(self) -> AsyncIterator[Deployment]:
        """Yield every deployment that is kept, with its phases and services, oldest first. Raises StateError."""
        read = 0
        while rows := await self._journal.read(partial(read_after, rowid=read, limit=READ_AT_ONCE)):
            read = rows[-1][0]
            for _row, deployment in rows:
                if deployment is not None:
                    yield deployment


def _boundary(transaction: Transaction, cutoff: str, rows: int) -> int:
    """Return the number up to which changes are beyond the bounds; only the oldest are ever dropped, without gaps."""
    last = transaction.execute("SELECT max(sequence) FROM changes").fetchone()[0] or 0
    young = transaction.execute(
        "SELECT sequence FROM changes WHERE time >= ? ORDER BY sequence LIMIT 1", (cutoff,)
    ).fetchone()
    too_old = last if young is None else young[0] - 1
    boundary = min(max(too_old, last - rows), last - FEWEST_CHANGES)
    first = transaction.execute("SELECT min(sequence) FROM changes").fetchone()[0] or 0
    return max(0, min(boundary, first + DROPPED_AT_ONCE - 1)) if boundary >= first else 0


def _drop_changes(transaction: Transaction, boundary: int) -> int:
    return transaction.execute("DELETE FROM changes WHERE sequence <= ?", (boundary,)).rowcount


def _is_beyond(transaction: Transaction) -> bool:
    row = transaction.execute(
        "SELECT (SELECT count(*) FROM heartbeats) > ?"
        " OR (SELECT count(*) FROM deployments WHERE outcome IS NOT NULL) > ?",
        (HEARTBEATS_KEPT, DEPLOYMENTS_KEPT),
    ).fetchone()
    return bool(row[0])


def _drop_rest(transaction: Transaction) -> None:
    """Drop old heartbeats (a living process makes its row again every few beats, so that these are of the dead)."""
    transaction.execute(
        "DELETE FROM heartbeats WHERE rowid NOT IN (SELECT rowid FROM heartbeats ORDER BY rowid DESC LIMIT ?)",
        (HEARTBEATS_KEPT,),
    )
    old = transaction.execute(
        "SELECT id FROM deployments WHERE outcome IS NOT NULL ORDER BY rowid DESC LIMIT -1 OFFSET ?",
        (DEPLOYMENTS_KEPT,),
    ).fetchall()
    for row in old:
        for statement in (
            "DELETE FROM phases WHERE deployment_id = ?",
            "DELETE FROM service_progress WHERE deployment_id = ?",
            "DELETE FROM posts WHERE subject = ?",
            "DELETE FROM deployments WHERE id = ?",
        ):
            transaction.execute(statement, row)
