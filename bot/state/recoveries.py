"""Keep what was done to heal services, so that a budget holds over restarts of the bot too."""

from datetime import datetime

from bot.models.recovery import RecoveryAction, RecoveryStep
from bot.state.documents import to_json
from bot.state.journal import Journal, Transaction


class Recoveries:
    """Write attempts, and count them."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def save(self, step: RecoveryStep) -> None:
        """Write an attempt: before it is made, and with its result after it."""

        def work(transaction: Transaction) -> None:
            transaction.execute(
                "INSERT OR REPLACE INTO recoveries (id, environment, service, action, begun_at, document)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    step.id,
                    step.environment,
                    step.service,
                    step.action.value,
                    step.begun_at.isoformat(),
                    to_json(step),
                ),
            )

        await self._journal.write(work)

    async def count(self, environment: str, service: str | None, action: RecoveryAction, since: datetime) -> int:
        """Return how often something was tried since then, for one service or (None) for all of an environment."""
        row = await self._journal.read(
            lambda t: t.execute(
                "SELECT count(*) FROM recoveries WHERE environment = ? AND (? IS NULL OR service = ?)"
                " AND action = ? AND begun_at > ?",
                (environment, service, service, action.value, since.isoformat()),
            ).fetchone()
        )
        return int(row[0])
