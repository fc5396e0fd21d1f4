"""Convert readings of processor time to the CPU usage of a container."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from roas.engine.containers.statistics import ContainerReading

# Two readings closer together than this say more about the moment than about the container.
LEAST_SECONDS = 1.0


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
            one for one in container_ids if (last := self._last.get(one)) is not None and last.taken_at > moment
        )

    def take(self, readings: Mapping[str, ContainerReading], known: Collection[str] = ()) -> Mapping[str, Usage]:
        """Record readings by container id and return the usage, also of those that are `known` by an earlier reading.

        Containers that are gone are forgotten.
        """
        self._last = {one: self._last[one] for one in known if one in self._last} | dict(readings)
        self._before = {one: self._before[one] for one in self._last if one in self._before}
        self._percent = {one: self._percent[one] for one in self._last if one in self._percent}
        for one, reading in readings.items():
            self._compare(one, reading)
        return {one: Usage(self._percent.get(one), last.memory_bytes) for one, last in self._last.items()}

    def _compare(self, container_id: str, reading: ContainerReading) -> None:
        before = self._before.setdefault(container_id, reading)
        if reading.cpu_seconds < before.cpu_seconds:  # it was restarted and counts from zero again
            self._before[container_id] = reading
            self._percent.pop(container_id, None)
        elif (seconds := reading.taken_at - before.taken_at) >= self._least_seconds:
            self._percent[container_id] = 100 * (reading.cpu_seconds - before.cpu_seconds) / seconds
            self._before[container_id] = reading
