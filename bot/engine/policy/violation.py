"""Describe what the policy refuses."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """Describe what is refused, and the entry that would allow it; empty if none does."""

    text: str
    entry: str
