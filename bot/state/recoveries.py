"""Keep what was done to recover services, so that a budget holds over restarts of the bot too."""

from datetime import datetime

from roas.models.recovery import RecoveryAction, RecoveryStep
from roas.state.documents import readable, to_json
from roas.state.journal import Journal
from roas.state.transaction import Transaction


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

    async def unfinished(self, alert_id: str) -> tuple[RecoveryStep, ...]:
        """Return the attempts about an alert of which no end was written, oldest first."""
        rows = await self._journal.read(
            lambda t: t.execute(
                "SELECT document FROM recoveries WHERE json_extract(document, '$.alert_id') = ?"
                " AND coalesce(json_extract(document, '$.ended'), 0) = 0 ORDER BY id",
                (alert_id,),
            ).fetchall()
        )
        return readable(RecoveryStep, (row[0] for row in rows))

    async def prune(self, before: datetime) -> None:
        """Drop attempts that count for nothing any more."""
        await self._journal.write(
            lambda t: t.execute("DELETE FROM recoveries WHERE begun_at < ?", (before.isoformat(),))
        )

    async def of(self, environment: str, service: str | None, action: RecoveryAction) -> tuple[RecoveryStep, ...]:
        """Return what was tried, for one service or (None) for all of an environment, as far back as is kept."""
        rows = await self._journal.read(
            lambda t: t.execute(
                "SELECT document FROM recoveries WHERE environment = ? AND (? IS NULL OR service = ?) AND action = ?",
                (environment, service, service, action.value),
            ).fetchall()
        )
        return readable(RecoveryStep, (row[0] for row in rows))
