"""Set how often what is retried, and wait longer after each failure.

How often a deployment's phase is retried is in models/coordination.py, and how often a service is recovered in
recovery/limits.py.
"""

import random
from dataclasses import dataclass

# 2 to the power of more than this is beyond every limit.
MOST_DOUBLINGS = 16


@dataclass(frozen=True, slots=True)
class Retries:
    """Set how long is waited after the first failure, and at most, in seconds; each failure doubles the wait."""

    first_seconds: float
    longest_seconds: float


# What is over in a moment as a rule: Redis, and a transient fault within a phase.
SOON = Retries(0.5, 10.0)
# What a person has to put right as a rule, or Discord, which counts to 1000 a day: logging in and its gateway, the
# commands, the message that the journal is lost, a deployment that only the journal stopped, and who is told outside of
# Discord.
PATIENTLY = Retries(2.0, 120.0)

# What is retried at even intervals, in seconds: a look at a stack that failed, the control socket that another process
# still holds, and a copy of the journal that could not be made.
WATCH_RETRY_SECONDS = 2.0
SOCKET_RETRY_SECONDS = 1.0
BACKUP_RETRY_SECONDS = 600.0
# A deployment whose processes die is handed to an operator after so many.
MOST_ATTEMPTS = 3


class Backoff:
    """Return longer waits after each failure in a row; `spread` shortens each at random: not all come back at once."""

    def __init__(self, retries: Retries, *, spread: bool = False) -> None:
        self._retries = retries
        self._spread = spread
        self._failures = 0

    def failed(self, longest_seconds: float | None = None) -> float:
        """Return how many seconds to wait after one more failure; `longest_seconds` is in place of the usual limit."""
        longest = self._retries.longest_seconds if longest_seconds is None else longest_seconds
        doubled: int = 2 ** min(self._failures, MOST_DOUBLINGS)
        delay = min(self._retries.first_seconds * doubled, longest)
        self._failures += 1
        return delay * random.uniform(0.5, 1.0) if self._spread else delay  # noqa: S311 - nothing secret hangs on it

    def succeeded(self) -> None:
        """Begin again with the shortest wait."""
        self._failures = 0
