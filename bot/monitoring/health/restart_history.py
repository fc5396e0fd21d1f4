"""Remember restart counts, in order to see how much they grew."""

import time
from collections import deque
from collections.abc import Collection, Mapping

from roas.models.health import ContainerSnapshot
from roas.monitoring.health.hysteresis import Clock

WINDOW_SECONDS = 300.0


class RestartHistory:
    """Keep the restart counts of the last minutes, by container."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, deque[tuple[float, int]]] = {}

    def take(self, containers: Collection[ContainerSnapshot]) -> Mapping[str, int]:
        """Record the current counts, and return those at the beginning of the window by container id.

        A container that is seen for the first time counts from there: what it did before is not known. A Swarm's task
        takes the place of the one before, and that one's history.
        """
        now = self._clock()
        places = {container.id: _place(container) for container in containers}
        counts = {_place(container): container.restart_count for container in containers}
        self._seen = {one: self._seen.get(one, deque()) for one in counts}
        for one, count in counts.items():
            seen = self._seen[one]
            if not seen or seen[-1][1] != count:
                seen.append((now, count))
            while len(seen) > 1 and now - seen[1][0] > WINDOW_SECONDS:
                seen.popleft()
        return {one: self._seen[place][0][1] for one, place in places.items()}


def _place(container: ContainerSnapshot) -> str:
    """Return what stays when a Swarm starts another task for one that ended; on one machine, the container's id."""
    return container.name.removesuffix(f".{container.id}") if container.name.endswith(container.id) else container.id
