"""Remember an hour of every service that is watched, in steps of half a minute and no more memory than that takes."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from bot.models.health import ServiceHealth, StackHealth, Verdict
from bot.models.series import ServicePoint, ServiceSeries
from bot.monitoring.judgement import RANK

SPAN_SECONDS = 3600.0
STEP_SECONDS = 30.0
STEPS = int(SPAN_SECONDS / STEP_SECONDS)
# A stack of more services than this keeps those that were seen last.
MOST_SERVICES = 500

Number = TypeVar("Number", int, float)


@dataclass(slots=True)
class _Step:
    """Hold the worst and the most that was seen within one step."""

    number: int
    verdict: Verdict
    cpu_percent: float | None
    memory_bytes: int | None

    def add(self, health: ServiceHealth) -> None:
        self.verdict = max(self.verdict, health.verdict, key=RANK.__getitem__)
        self.cpu_percent = _larger(self.cpu_percent, health.cpu_percent)
        self.memory_bytes = _larger(self.memory_bytes, health.memory_bytes)


class LastHour:
    """Take in stacks as they are seen, and tell how each of their services has been; times are monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._steps: OrderedDict[tuple[str, str], deque[_Step]] = OrderedDict()

    def take(self, stack: StackHealth) -> None:
        """Remember how a stack is now; a short trouble within a step is kept, not averaged away."""
        number = int(self._clock() // STEP_SECONDS)
        for health in stack.services:
            key = (stack.environment, health.service)
            steps = self._steps.setdefault(key, deque(maxlen=STEPS))
            if steps and steps[-1].number == number:
                steps[-1].add(health)
            else:
                steps.append(_Step(number, health.verdict, health.cpu_percent, health.memory_bytes))
            self._steps.move_to_end(key)
        self._let_go(number)

    def of(self, environment: str) -> tuple[ServiceSeries, ...]:
        """Return the last hour of an environment's services, in the order of their names."""
        now = self._clock()
        series = (
            ServiceSeries(name, service, tuple(points))
            for (name, service), steps in sorted(self._steps.items())
            if name == environment and (points := [_point(step, now) for step in steps if _is_within(step, now)])
        )
        return tuple(series)

    def _let_go(self, number: int) -> None:
        """Forget services that have been gone for an hour, and the oldest beyond the bound."""
        while self._steps:
            oldest = next(iter(self._steps))
            if len(self._steps) <= MOST_SERVICES and number - self._steps[oldest][-1].number <= STEPS:
                return
            del self._steps[oldest]


def _larger(one: Number | None, other: Number | None) -> Number | None:
    known = [value for value in (one, other) if value is not None]
    return max(known) if known else None


def _is_within(step: _Step, now: float) -> bool:
    return now - step.number * STEP_SECONDS <= SPAN_SECONDS


def _point(step: _Step, now: float) -> ServicePoint:
    age = max(0.0, now - (step.number + 1) * STEP_SECONDS)
    return ServicePoint(age, step.verdict, step.cpu_percent, step.memory_bytes)
