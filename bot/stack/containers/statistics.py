"""Read how much processor time and memory containers use, in one shot."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from roas.models.environment import Environment
from roas.stack.docker.api_errors import ApiError
from roas.stack.docker.engine import EngineClients
from roas.stack.docker.sdk import EngineClient


@dataclass(frozen=True, slots=True)
class ContainerReading:
    """Hold the usage of one container: processor time since its start, memory now; `taken_at` is monotonic seconds."""

    cpu_seconds: float
    memory_bytes: int
    taken_at: float


class StatisticsReader:
    """Read the statistics of running containers."""

    def __init__(self, clients: EngineClients) -> None:
        self._clients = clients

    async def read(self, environment: Environment, container_ids: Iterable[str]) -> Mapping[str, ContainerReading]:
        """Return a reading per running container; one that disappears meanwhile is skipped.

        Raises EngineUnavailableError.
        """
        ids = list(container_ids)
        readings = await self._clients.of(environment).each(_reading, ids)
        return {container: reading for container, reading in zip(ids, readings, strict=True) if reading is not None}


def _reading(client: EngineClient, container_id: str) -> ContainerReading | None:
    try:
        # With one_shot the engine answers at once; the differences over time are for us to compute.
        raw: dict[str, Any] = client.stats(container_id, stream=False, one_shot=True)
    except ApiError as error:
        if error.status in {404, 409}:
            return None
        raise
    return parse_reading(raw, time.monotonic())


def parse_reading(raw: Mapping[str, Any], taken_at: float) -> ContainerReading | None:
    """Read the engine's answer; None where the container does not run.

    What the kernel could give back at once (inactive file pages) is no use of memory, as `docker stats` has it too.
    """
    usage, memory = (raw.get("cpu_stats") or {}).get("cpu_usage") or {}, raw.get("memory_stats") or {}
    if "usage" not in memory:
        return None
    details = memory.get("stats") or {}
    given_back = details.get("inactive_file", details.get("total_inactive_file", 0))
    cpu_seconds = int(usage.get("total_usage", 0)) / 1_000_000_000
    return ContainerReading(cpu_seconds, max(0, int(memory["usage"]) - int(given_back)), taken_at)
