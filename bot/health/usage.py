"""Say how much processor time and memory containers use: those of the engine's own, and those of a Swarm elsewhere."""

import math
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from roas.limits import USAGE_RETRY_SECONDS
from roas.log import get_logger
from roas.metrics.prometheus import PrometheusClient, PrometheusError
from roas.stack.containers.statistics import ContainerReading

# Two readings closer together than this say more about the moment than about the container.
LEAST_SECONDS = 1.0
# A figure of cAdvisor's is scraped each 15 s to a minute, and it takes two to compare. What is older is not known.
WINDOW = "3m"
# Who looks at each event asks no more often than figures change.
ANSWER_SECONDS = 10.0
CONTAINER_ID = re.compile(r"[0-9a-f]{64}")
# What cAdvisor calls a container: its cgroup, such as `/docker/ID` or `/system.slice/docker-ID.scope`.
CGROUP = re.compile(r".*[/-](?P<id>[0-9a-f]{64})(?:\.scope)?")
SHORT = 12
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Usage:
    """Hold the usage of a container; `cpu_percent` counts 100 per processor and is None until a second reading."""

    cpu_percent: float | None
    memory_bytes: int


class UsageHistory:
    """Compare each reading with the one before it."""

    def __init__(self, least_seconds: float = LEAST_SECONDS) -> None:
        self._least_seconds = least_seconds
        self._before: dict[str, ContainerReading] = {}
        self._percent: dict[str, float] = {}
        self._last: dict[str, ContainerReading] = {}

    def known_since(self, moment: float, container_ids: Iterable[str]) -> frozenset[str]:
        """Return those of which the last reading was taken after a moment (monotonic seconds)."""
        return frozenset(
            container_id
            for container_id in container_ids
            if (last := self._last.get(container_id)) is not None and last.taken_at > moment
        )

    def take(self, readings: Mapping[str, ContainerReading], known: Collection[str] = ()) -> Mapping[str, Usage]:
        """Record readings by container id and return the usage, also of those that are `known` by an earlier reading.

        Containers that are gone are forgotten.
        """
        self._last = {
            container_id: self._last[container_id] for container_id in known if container_id in self._last
        } | dict(readings)
        self._before = {
            container_id: self._before[container_id] for container_id in self._last if container_id in self._before
        }
        self._percent = {
            container_id: self._percent[container_id] for container_id in self._last if container_id in self._percent
        }
        for value, reading in readings.items():
            self._compare(value, reading)
        return {
            container_id: Usage(self._percent.get(container_id), last.memory_bytes)
            for container_id, last in self._last.items()
        }

    def _compare(self, container_id: str, reading: ContainerReading) -> None:
        before = self._before.setdefault(container_id, reading)
        if reading.cpu_seconds < before.cpu_seconds:  # it was restarted and counts from zero again
            self._before[container_id] = reading
            self._percent.pop(container_id, None)
        elif (seconds := reading.taken_at - before.taken_at) >= self._least_seconds:
            self._percent[container_id] = 100 * (reading.cpu_seconds - before.cpu_seconds) / seconds
            self._before[container_id] = reading


class ClusterUsage:
    """Ask the Prometheus that scrapes a cAdvisor on each node what containers use of which our engine knows nothing."""

    def __init__(self, url: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._asked: dict[str, tuple[float, Usage | None]] = {}
        self._away_until = 0.0

    async def read(self, container_ids: Iterable[str]) -> Mapping[str, Usage]:
        """Return what is known of containers, by id; what is not known, or is older than a moment, is left out."""
        wanted, now = {item for item in container_ids if CONTAINER_ID.fullmatch(item)}, self._clock()
        if self._url is None or not wanted or now < self._away_until:
            return {}
        self._asked = {item: known for item, known in self._asked.items() if known[0] > now - ANSWER_SECONDS}
        if unasked := sorted(wanted - self._asked.keys()):
            try:
                found = await _ask(self._url, unasked)
            except PrometheusError as error:
                self._away_until = now + USAGE_RETRY_SECONDS
                log.warning("usage on other nodes cannot be read", error=error.message)
                return {}
            self._asked |= {item: (now, found.get(item)) for item in unasked}
        return {item: usage for item in wanted if (usage := self._asked[item][1]) is not None}


async def _ask(url: str, container_ids: Collection[str]) -> Mapping[str, Usage]:
    """Return what Prometheus knows of containers, however many cAdvisors see one. Raises PrometheusError."""
    ids = "|".join(container_id[:SHORT] for container_id in container_ids)
    of_these = f'{{id=~".*[/-](?:{ids})[0-9a-f]{{{64 - SHORT}}}(?:[.]scope)?"}}[{WINDOW}]'
    memory_query = f"max by (id) (last_over_time(container_memory_working_set_bytes{of_these}))"
    # There is one series for each processor, or one for all, of each cAdvisor that is scraped. `rate` would divide what
    # a new task used by all of the window.
    of_each = f"sum by (id, job, instance) (irate(container_cpu_usage_seconds_total{of_these}))"
    async with PrometheusClient(url) as prometheus:
        memory = _by_container(await prometheus.query(memory_query))
        cpu = _by_container(await prometheus.query(f"max by (id) ({of_each})"))
    # A cAdvisor to which the kernel tells no memory says zero: no container has none.
    return {
        item: Usage(100 * cpu[item] if item in cpu else None, int(count))
        for item, count in memory.items()
        if count > 0 and item in set(container_ids)
    }


def _by_container(series: Iterable[tuple[Mapping[str, str], float]]) -> dict[str, float]:
    """Return the value of each container by its id; what is no figure is left out."""
    found: dict[str, float] = {}
    for labels, value in series:
        named = CGROUP.fullmatch(labels.get("id", ""))
        if named is not None and math.isfinite(value) and value >= 0:
            found[named["id"]] = max(value, found.get(named["id"], 0.0))
    return found
