"""Keep a verdict steady, so that a flapping service is reported once and not all night."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from roas.models.health import Verdict
from roas.monitoring.health.judgement import RANK

Clock = Callable[[], float]
WELL = frozenset({Verdict.HEALTHY, Verdict.UNVERIFIED})


@dataclass(frozen=True, slots=True)
class HysteresisRules:
    """Set how long a new verdict must hold before it is accepted.

    Getting worse counts after `worse_after_seconds`, for who has just begun to look, too; what was created and not
    started after `unstarted_seconds`: whoever created it starts it, perhaps once something else is well. Getting better
    counts at once, unless the verdict has become worse `flaps` times within `flap_window_seconds`: then only after
    `better_after_seconds`.
    """

    worse_after_seconds: float = 2.0
    unstarted_seconds: float = 30.0
    better_after_seconds: float = 30.0
    flaps: int = 2
    flap_window_seconds: float = 300.0


class SteadyVerdict:
    """Hold the last accepted verdict, and the pending one."""

    def __init__(self, rules: HysteresisRules, clock: Clock = time.monotonic) -> None:
        self.current = Verdict.UNKNOWN
        self._rules = rules
        self._clock = clock
        self._candidate: Verdict | None = None
        self._since = 0.0
        self._is_unstarted = False
        self._worsened: deque[float] = deque()

    def offer(self, verdict: Verdict, *, is_unstarted: bool = False) -> bool:
        """Record what was just seen; returns whether the accepted verdict changed by it."""
        self._is_unstarted = is_unstarted
        if verdict is self.current:
            self._candidate = None
            return False
        now = self._clock()
        if self._candidate is None or self._is_worse(self._candidate) is not self._is_worse(verdict):
            self._since = now
        self._candidate = verdict
        if self._remaining(now) > 0:
            return False
        if self._is_worse(verdict) and self.current is not Verdict.UNKNOWN:
            self._worsened.append(now)
        self.current, self._candidate = verdict, None
        return True

    def take(self, verdict: Verdict) -> bool:
        """Accept what was seen at once and forget past flaps: a deployment changes it; returns whether it changed."""
        changed = verdict is not self.current
        self.current, self._candidate = verdict, None
        self._worsened.clear()
        return changed

    def due_in(self) -> float | None:
        """Return the seconds after which what was seen last would be believed; None where nothing is pending."""
        return None if self._candidate is None else max(0.0, self._remaining(self._clock()))

    def _remaining(self, now: float) -> float:
        return self._since + self._hold_seconds(now) - now

    def _hold_seconds(self, now: float) -> float:
        if self.current is Verdict.UNKNOWN and self._candidate is not Verdict.UNHEALTHY:
            return 0.0
        if {self.current, self._candidate} <= WELL:
            return 0.0
        if self._candidate is not None and self._is_worse(self._candidate):
            return self._rules.unstarted_seconds if self._is_unstarted else self._rules.worse_after_seconds
        while self._worsened and now - self._worsened[0] > self._rules.flap_window_seconds:
            self._worsened.popleft()
        return self._rules.better_after_seconds if len(self._worsened) >= self._rules.flaps else 0.0

    def _is_worse(self, verdict: Verdict) -> bool:
        """Not knowing counts as worse than anything that was known."""
        return verdict is Verdict.UNKNOWN or RANK[verdict] > RANK[self.current]
