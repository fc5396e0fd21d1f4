"""Remember what was posted to Discord."""

from collections.abc import Sequence

from roas.models.post import Post
from roas.state.documents import from_row, readable, to_json
from roas.state.journal import Journal
from roas.state.transaction import Transaction


class Posts:
    """Read and write what was posted."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def get(self, subject: str, kind: str) -> Post | None:
        """Return what was posted of a subject, or None."""
        row = await self._journal.read(
            lambda t: t.execute("SELECT document FROM posts WHERE subject = ? AND kind = ?", (subject, kind)).fetchone()
        )
        return from_row(Post, row[0]) if row else None

    async def save(self, post: Post) -> None:
        """Write what was posted."""

        def work(transaction: Transaction) -> None:
            transaction.execute(
                "INSERT OR REPLACE INTO posts (subject, kind, finished, document) VALUES (?, ?, ?, ?)",
                (post.subject, post.kind, int(post.finished), to_json(post)),
            )

        await self._journal.write(work)

    async def unfinished(self, kinds: Sequence[str]) -> tuple[Post, ...]:
        """Return the posts of some kinds that are not in their last state yet."""
        marks = ", ".join("?" * len(kinds))
        statement = f"SELECT document FROM posts WHERE finished = 0 AND kind IN ({marks}) ORDER BY subject"  # noqa: S608
        rows = await self._journal.read(lambda t: t.execute(statement, tuple(kinds)).fetchall())
        return readable(Post, (row[0] for row in rows))
