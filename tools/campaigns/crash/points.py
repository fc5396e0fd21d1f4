"""Name the moments at which a process can be hit, and which process."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from roas.models.deployment import ServiceStep


class Role(StrEnum):
    """Which of the two bots."""

    PREDECESSOR = "predecessor"
    SUCCESSOR = "successor"


class Victim(StrEnum):
    """The bot that is hit."""

    PREDECESSOR = "predecessor"
    SUCCESSOR = "successor"
    BOTH = "both"


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """Name a moment that comes in every deployment: the n-th time that a bot is before or after a step."""

    role: Role
    step: str
    when: str
    occurrence: int = 1

    def __str__(self) -> str:
        times = f" #{self.occurrence}" if self.occurrence > 1 else ""
        return f"{self.when} {self.role}'s “{self.step}”{times}"


@dataclass(frozen=True, slots=True)
class Report:
    """Hold what a bot reported at the gate, and at which monotonic time."""

    point: Point
    service: str
    at: float
    # Which bots were running then.
    present: frozenset[Role] = frozenset()

    @property
    def is_act(self) -> bool:
        """Return whether an act on a service's containers is about to happen."""
        return self.point.when == "before" and any(f": {act} " in self.point.step for act in ANNOUNCED_ACTS)


# Acts of which the journal must have said before that they come.
ANNOUNCED_ACTS = ("create_service", "start", "stop", "remove")


def is_intent(step: str) -> bool:
    """Return whether a service's step says that something is about to be done to it."""
    return step.endswith("ing") and step != ServiceStep.PENDING


class Counting:
    """Number the occurrences of a step within one deployment."""

    def __init__(self) -> None:
        self._seen: Counter[tuple[Role, str, str]] = Counter()

    def point(self, role: Role, step: str, when: str) -> Point:
        """Return the point that a report names."""
        self._seen[role, step, when] += 1
        return Point(role, step, when, self._seen[role, step, when])


def possible_victims(present: frozenset[Role]) -> tuple[Victim, ...]:
    """Return who can be hit where these bots run."""
    if present == {Role.PREDECESSOR, Role.SUCCESSOR}:
        return (Victim.PREDECESSOR, Victim.SUCCESSOR, Victim.BOTH)
    return tuple(Victim(role) for role in sorted(present))


def roles_of(victim: Victim) -> tuple[Role, ...]:
    """Return the process that a victim means."""
    return (Role.PREDECESSOR, Role.SUCCESSOR) if victim is Victim.BOTH else (Role(victim.value),)
