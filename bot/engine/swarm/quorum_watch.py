"""Know how often a Swarm was without a quorum, and for how long it answered nobody who asked."""

import math
import time

from roas.errors import EngineUnavailableError, NoManagerError, NoQuorumError, SwarmLockedError
from roas.models.swarm import Absence, QuorumLosses

# Without a leader a manager keeps a question for up to 20 s, and answers it if there is one by then. Else it takes it
# some milliseconds.
SLOW_SECONDS = 10.0
KINDS = {NoManagerError: Absence.NO_MANAGER, SwarmLockedError: Absence.LOCKED}


class QuorumWatch:
    """Count the questions that were answered by that there is no quorum, and the time until one is answered again.

    A manager that leads, and loses the others, may leave a write without any answer. So that time counts, too.
    """

    def __init__(self) -> None:
        self._times = 0
        self._seconds = 0.0
        self._answered_at = time.monotonic()
        self._away_since: float | None = None
        self._open: list[float] = []
        self._absence = Absence.NO_QUORUM

    def asks(self, asked_at: float) -> None:
        """Note that a manager is asked: one that keeps the question waits for a leader."""
        self._open.append(asked_at)

    def has_ended(self, asked_at: float) -> None:
        """Note that a question is open no more, however that came."""
        self._open.remove(asked_at)

    def answered(self, asked_at: float) -> None:
        """Note that a manager answered just now; what was asked may have waited for a leader until then."""
        now = time.monotonic()
        since = max(asked_at, self._answered_at) if self._away_since is None else self._away_since
        if self._away_since is not None or now - since >= SLOW_SECONDS:
            self._seconds += now - since
            self._absence = Absence.NO_QUORUM if self._away_since is None else self._absence
        self._answered_at, self._away_since = now, None

    def unanswered(self, asked_at: float, error: EngineUnavailableError) -> None:
        """Note that there was no answer, or that there is no quorum; nobody else was answered since, either."""
        self._times += isinstance(error, NoQuorumError)
        kind = next((kind for of, kind in KINDS.items() if isinstance(error, of)), Absence.NO_QUORUM)
        if (
            self._away_since is None or kind is not Absence.NO_QUORUM
        ):  # one that is unlocked still has to find the others
            self._absence = kind
        if self._away_since is None:
            self._away_since = max(asked_at, self._answered_at)

    @property
    def losses(self) -> QuorumLosses:
        """Return how often there was none, and how long there was no answer, until now."""
        away = 0.0 if self._away_since is None else time.monotonic() - self._away_since
        now_away = away or self._kept_seconds()
        return QuorumLosses(self._times, self._seconds + away, now_away, self._absence)

    def _kept_seconds(self) -> float:
        """Return for how long a manager has kept a question and answered none; 0 where that is not long."""
        kept = time.monotonic() - max(min(self._open, default=math.inf), self._answered_at)
        return kept if kept >= SLOW_SECONDS else 0.0
