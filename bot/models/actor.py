"""Identify who requested something."""

from dataclasses import dataclass
from enum import StrEnum

# Whose id automatic recovery has: what it asks for, no person did.
RECOVERY = "recovery"


class ActorKind(StrEnum):
    """Where a person or a program reached us from."""

    DISCORD = "discord"
    SYSTEM = "system"
    SOURCE = "source"

    @classmethod
    def _missing_(cls, value: object) -> "ActorKind":
        """Read an unknown source of a newer version as a program."""
        return cls.SYSTEM


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
