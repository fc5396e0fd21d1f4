"""Read the journal in order for what is projected from it."""

from dataclasses import dataclass

from roas.models.change import StateChange
from roas.state.documents import from_row
from roas.state.journal import Journal

# The key in changes that an earlier version took from Redis into an empty journal: they are history only.
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
