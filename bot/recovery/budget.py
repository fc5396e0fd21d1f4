"""Limit how often each action may be tried, so that recovery stops where it does not help."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from roas.models.recovery import RecoveryAction, RecoveryStep
from roas.state.boot_clock import boot_id, boot_seconds
from roas.state.recoveries import Recoveries

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
        """Return whether something may be tried once more. Raises StateError."""
        counted_for = None if action is RecoveryAction.ROLL_BACK else service
        made = await recoveries.of(environment, counted_for, action)
        return sum(age_of(step) < self.window for step in made) < self.allowed.get(action, 0)


def age_of(step: RecoveryStep) -> timedelta:
    """Return how long ago something was tried; since the machine booted, a wall clock that jumps changes nothing."""
    if step.boot_id == boot_id():
        return timedelta(seconds=boot_seconds() - step.boot_seconds)
    return abs(datetime.now(UTC) - step.begun_at)
