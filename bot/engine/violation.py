"""Say what the policy refuses."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """Say what is refused, and which entry would allow it; an empty one: nothing does."""

    text: str
    entry: str
