"""Remember the results of probes, and apply them to the verdict of a service."""

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from roas.messages.message import said
from roas.models.health import ServiceHealth, Verdict
from roas.models.stack import ServiceDefinition, ServiceProbe
from roas.monitoring.health.hysteresis import Clock

# One answer may be lost on the way; this many in a row are trouble.
FAILURES_OF_TROUBLE = 3
# The verdicts by container state that a probe may still make worse.
OPEN_VERDICTS = frozenset({Verdict.HEALTHY, Verdict.UNVERIFIED, Verdict.DEGRADED})
ENDS_OF_PLACE = re.compile("[/?#]")

Place = tuple[str, str]  # environment, service


@dataclass(slots=True)
class _Run:
    """Hold what was seen of a service since its containers were last started; `key` identifies that run."""

    key: frozenset[str]
    since: float
    failures: dict[str, int] = field(default_factory=dict)


class ProbeHistory:
    """Count failures in a row, by service and URL, since the service was started last."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._runs: dict[Place, _Run] = {}

    def record(self, environment: str, service: str, url: str, *, answered: bool) -> bool:
        """Record the result of a probe; returns whether it may change the verdict."""
        run = self._runs.get((environment, service))
        if run is None:  # no container of it was seen yet
            return False
        before = run.failures.get(url, 0)
        run.failures[url] = 0 if answered else before + 1
        return bool(before) if answered else before < FAILURES_OF_TROUBLE

    def judge(self, environment: str, health: ServiceHealth, definition: ServiceDefinition) -> ServiceHealth:
        """Judge a service whose containers run by its probes, too: the worse of the two holds."""
        run = self._run(environment, health)
        if health.verdict not in OPEN_VERDICTS:
            return health
        failing = [
            (run.failures.get(probe.url, 0), probe) for probe in definition.probes if self._is_grace_over(run, probe)
        ]
        count, worst = max(failing, key=lambda one: one[0], default=(0, None))
        if worst is None or not count:
            return health
        verdict = Verdict.UNHEALTHY if count >= FAILURES_OF_TROUBLE else Verdict.DEGRADED
        return replace(health, verdict=verdict, reason=said("does not answer {url}", url=place_of(worst.url)))

    def forget(self, environment: str, services: Iterable[str]) -> None:
        """Drop services that are in the stack no more."""
        for service in services:
            self._runs.pop((environment, service), None)

    def _run(self, environment: str, health: ServiceHealth) -> _Run:
        key = frozenset(f"{one.id} {one.started_at}" for one in health.containers)
        known = self._runs.get((environment, health.service))
        if known is None or known.key != key:
            known = self._runs[environment, health.service] = _Run(key, self._clock())
        return known

    def _is_grace_over(self, run: _Run, probe: ServiceProbe) -> bool:
        return self._clock() - run.since >= probe.grace_seconds


def place_of(url: str) -> str:
    """Return a URL without what may be secret in it: user, password, path and query."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{ENDS_OF_PLACE.split(rest, 1)[0].rpartition('@')[2]}"
