"""Say how often what may be tried, so that healing ends where it does not help."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bot.models.recovery import RecoveryAction
from bot.state.recoveries import Recoveries

WINDOW = timedelta(minutes=15)
ALLOWED: Mapping[RecoveryAction, int] = {
    RecoveryAction.RESTART: 3,
    RecoveryAction.RECREATE: 1,
    RecoveryAction.ROLL_BACK: 1,
}


@dataclass(frozen=True, slots=True)
class Budget:
    """Allow so many attempts of a kind per service and window; a rollback counts for its whole environment."""

    window: timedelta = WINDOW
    allowed: Mapping[RecoveryAction, int] = field(default_factory=lambda: ALLOWED)

    async def allows(self, recoveries: Recoveries, environment: str, service: str, action: RecoveryAction) -> bool:
        """Tell whether something may be tried once more. Raises StateError."""
        counted_for = None if action is RecoveryAction.ROLL_BACK else service
        since = datetime.now(UTC) - self.window
        return await recoveries.count(environment, counted_for, action, since) < self.allowed.get(action, 0)
