"""Keep what was done to recover services, so that a budget holds over restarts of the bot too."""

from datetime import datetime

from roas.models.recovery import RecoveryAction, RecoveryStep
from roas.state.journal.journal import Journal


class Recoveries:
    """Write attempts, and count them."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def save(self, step: RecoveryStep) -> None:
        """Write an attempt: before it is made, and with its result after it."""
        columns = {"service": step.service, "action": step.action.value, "begun_at": step.begun_at.isoformat()}
        await self._journal.put("recoveries", step, id=step.id, environment=step.environment, **columns)

    async def unfinished(self, alert_id: str) -> tuple[RecoveryStep, ...]:
        """Return the attempts about an alert of which no end was written, oldest first."""
        where = (
            "recoveries WHERE json_extract(document, '$.alert_id') = ?"
            " AND coalesce(json_extract(document, '$.ended'), 0) = 0 ORDER BY id"
        )
        return await self._journal.select(RecoveryStep, where, alert_id)

    async def prune(self, before: datetime) -> None:
        """Drop attempts that count for nothing any more."""
        await self._journal.write(
            lambda t: t.execute("DELETE FROM recoveries WHERE begun_at < ?", (before.isoformat(),))
        )

    async def of(self, environment: str, service: str | None, action: RecoveryAction) -> tuple[RecoveryStep, ...]:
        """Return what was tried, for one service or (None) for all of an environment, as far back as is kept."""
        where = "recoveries WHERE environment = ? AND (? IS NULL OR service = ?) AND action = ?"
        return await self._journal.select(RecoveryStep, where, environment, service, service, action.value)
