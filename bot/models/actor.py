"""Identify who requested something."""

from dataclasses import dataclass

from roas.models.stored import StoredEnum

# Whose id automatic recovery has: what it asks for, no person did.
RECOVERY = "recovery"


class ActorKind(StoredEnum, unknown="system"):
    """Where a person or a program reached us from; an unknown one counts as a program."""

    DISCORD = "discord"
    SYSTEM = "system"
    SOURCE = "source"


@dataclass(frozen=True, slots=True)
class Actor:
    """Name the person or program behind a request, for locks, history and audit."""

    kind: ActorKind
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class CancelRequest(Actor):
    """Name who asked a deployment to stop, and why."""

    reason: str = ""

    @property
    def actor(self) -> Actor:
        """Return who asked."""
        return Actor(self.kind, self.id, self.name)
