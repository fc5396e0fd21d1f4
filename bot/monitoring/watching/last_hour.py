"""Remember an hour of every service that is watched, in steps of half a minute and no more memory than that takes."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import TypeVar

from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus, ServiceHealth, StackHealth, Verdict
from roas.models.series import ServicePoint, ServiceSeries
from roas.monitoring.health.judgement import RANK

SPAN_SECONDS = 3600.0
STEP_SECONDS = 30.0
STEPS = int(SPAN_SECONDS / STEP_SECONDS)
# A stack of more services than this keeps those that were seen last.
MOST_SERVICES = 500

Number = TypeVar("Number", int, float)


@dataclass(slots=True)
class _Step:
    """Hold the worst and the highest values seen within one step, or the present ones."""

    number: int
    verdict: Verdict
    cpu_percent: float | None
    memory_bytes: int | None

    def add(self, health: ServiceHealth, verdict: Verdict) -> None:
        self.verdict = max(self.verdict, verdict, key=RANK.__getitem__)
        self.cpu_percent = _larger(self.cpu_percent, health.cpu_percent)
        self.memory_bytes = _larger(self.memory_bytes, health.memory_bytes)


class LastHour:
    """Record stacks as they are seen, and return the history of each of their services; times are monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._steps: OrderedDict[tuple[str, str], deque[_Step]] = OrderedDict()
        self._present: dict[tuple[str, str], _Step] = {}

    def take(self, stack: StackHealth, moving: Set[str] = frozenset()) -> None:
        """Record the current state of a stack; a short fault within a step is kept, not averaged away.

        `moving` are the services that a deployment is changing: that their containers come and go is no trouble.
        """
        number = int(self._clock() // STEP_SECONDS)
        for health in stack.services:
            key = (stack.environment, health.service)
            verdict = _while_moving(health) if health.service in moving else health.verdict
            steps = self._steps.setdefault(key, deque(maxlen=STEPS))
            if steps and steps[-1].number == number:
                steps[-1].add(health, verdict)
            else:
                steps.append(_step(number, health, verdict))
            self._present[key] = _step(number, health, verdict)
            self._steps.move_to_end(key)
        self._drop_old(number)

    def look(self, stack: StackHealth) -> None:
        """Make the present what was just shown to a person, in addition to what is recorded anyway."""
        number = int(self._clock() // STEP_SECONDS)
        seen = {(stack.environment, health.service): health for health in stack.services}
        if stack.fault:  # nothing is known of the others either
            unseen = (key for key in self._steps if key[0] == stack.environment and key not in seen)
            seen |= {key: ServiceHealth(key[1], Verdict.UNKNOWN, stack.fault) for key in unseen}
        for key, health in seen.items():
            if key in self._steps:
                self._present[key] = _step(number, health, health.verdict)

    def of(self, environment: str) -> tuple[ServiceSeries, ...]:
        """Return the last hour of an environment's services, in the order of their names.

        A step that is over shows the worst and the most of it, the one under way how it is at present.
        """
        now = self._clock()
        number = int(now // STEP_SECONDS)
        series = []
        for key in sorted(key for key in self._steps if key[0] == environment):
            present = self._present[key]
            steps = [step for step in self._steps[key] if step.number != number and _is_within(step, now)]
            steps += [present] if present.number == number else []
            if steps:
                series.append(ServiceSeries(*key, tuple(_point(step, now) for step in steps)))
        return tuple(series)

    def _drop_old(self, number: int) -> None:
        """Forget services that have been gone for an hour, and the oldest beyond the bound."""
        while self._steps:
            oldest = next(iter(self._steps))
            if len(self._steps) <= MOST_SERVICES and number - self._steps[oldest][-1].number <= STEPS:
                return
            del self._steps[oldest], self._present[oldest]


def _step(number: int, health: ServiceHealth, verdict: Verdict) -> _Step:
    return _Step(number, verdict, health.cpu_percent, health.memory_bytes)


def _while_moving(health: ServiceHealth) -> Verdict:
    """Count a service under change as unhealthy only where a container that runs fails; else it just is not there."""
    if health.verdict is not Verdict.UNHEALTHY or any(_fails(container) for container in health.containers):
        return health.verdict
    return Verdict.DEGRADED


def _fails(container: ContainerSnapshot) -> bool:
    running = container.state is ContainerState.RUNNING
    return container.state is ContainerState.RESTARTING or (running and container.health is HealthStatus.UNHEALTHY)


def _larger(one: Number | None, other: Number | None) -> Number | None:
    known = [value for value in (one, other) if value is not None]
    return max(known) if known else None


def _is_within(step: _Step, now: float) -> bool:
    return now - step.number * STEP_SECONDS <= SPAN_SECONDS


def _point(step: _Step, now: float) -> ServicePoint:
    age = max(0.0, now - (step.number + 1) * STEP_SECONDS)
    return ServicePoint(age, step.verdict, step.cpu_percent, step.memory_bytes)
