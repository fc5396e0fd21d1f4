"""Keep what was posted in Discord, and how far each target outside of it was told."""

from collections.abc import Sequence

from roas.models.post import Post, TargetPosition
from roas.models.state_change import ChangeType, StateChange
from roas.state.documents import readable
from roas.state.journal.journal import Journal


class Posts:
    """Read and write what was posted."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def get(self, subject: str, kind: str) -> Post | None:
        """Return what was posted of a subject, or None."""
        return await self._journal.find(Post, "posts WHERE subject = ? AND kind = ?", subject, kind)

    async def save(self, post: Post) -> None:
        """Write what was posted."""
        await self._journal.put("posts", post, subject=post.subject, kind=post.kind, finished=int(post.finished))

    async def unfinished(self, kinds: Sequence[str]) -> tuple[Post, ...]:
        """Return the posts of some kinds that are not in their last state yet."""
        marks = ", ".join("?" * len(kinds))
        where = f"posts WHERE finished = 0 AND kind IN ({marks}) ORDER BY subject"
        return await self._journal.select(Post, where, *kinds)


# Before the name of a target, the name of the row of `projections` that holds how far it was told.
TARGET_ROW = "notify:"
NEWS = (ChangeType.ALERT_TRIGGERED, ChangeType.DEPLOYMENT_FINISHED)


class TargetPositions:
    """Read and write how far each target outside of Discord was told, and what there is to tell."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def get(self, target: str) -> TargetPosition | None:
        """Return how far a target was told; None for one that is new."""
        return await self._journal.find(TargetPosition, "projections WHERE name = ?", f"{TARGET_ROW}{target}")

    async def save(self, target: str, position: TargetPosition) -> None:
        """Write how far a target was told."""
        await self._journal.put("projections", position, name=f"{TARGET_ROW}{target}")

    async def news(self, sequence: int, *, limit: int = 100) -> tuple[tuple[int, StateChange], ...]:
        """Return the alerts and the ends of deployments that follow a number, oldest first, each with its own."""
        rows = await self._journal.read(
            lambda t: t.execute(
                "SELECT sequence, document FROM changes WHERE sequence > ? AND type IN (?, ?)"
                " ORDER BY sequence LIMIT ?",
                (sequence, *NEWS, limit),
            ).fetchall()
        )
        return tuple((row[0], change) for row in rows for change in readable(StateChange, [row[1]]))
