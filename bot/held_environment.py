"""Refuse what cannot be done to an environment now: a deployment holds it, or a person has frozen it."""

from roas.errors import RoasError
from roas.messages.message import said
from roas.models.deployment import Lock
from roas.models.freeze import Freeze


class LockHeldError(RoasError):
    """Another deployment holds the environment."""

    key = "lock_held"

    def __init__(self, lock: Lock) -> None:
        held = said(
            "{environment} is held by {held_by} since {since} UTC: {purpose}",
            environment=lock.environment,
            held_by=lock.held_by.name,
            since=f"{lock.since:%Y-%m-%d %H:%M:%S}",
            purpose=lock.purpose,
        )
        if not lock.paused:
            super().__init__(
                held, hint=said("Wait for {deployment_id} to end, or cancel it.", deployment_id=lock.deployment_id)
            )
        else:
            super().__init__(
                said("{held}. It is paused, and waits for a decision.", held=held),
                hint=said(
                    "Let {deployment_id} go on or roll it back: its message in the channel has the buttons, or use "
                    "`roas resume {environment}`.",
                    deployment_id=lock.deployment_id,
                    environment=lock.environment,
                ),
            )
        self.lock = lock


class FrozenError(RoasError):
    """A freeze is set on the environment."""

    key = "frozen"

    @classmethod
    def of(cls, freeze: Freeze) -> "FrozenError":
        """Create the error: who set the freeze, since when, why, and how to lift it."""
        return cls(
            said(
                "{environment} is locked by {frozen_by} since {since} UTC: {reason}",
                environment=freeze.environment,
                frozen_by=freeze.frozen_by.name,
                since=f"{freeze.since:%Y-%m-%d %H:%M:%S}",
                reason=freeze.reason,
            ),
            hint=said(
                "Ask {frozen_by}; `/unlock {environment}` or `roas unlock {environment}` opens it again.",
                frozen_by=freeze.frozen_by.name,
                environment=freeze.environment,
            ),
        )
