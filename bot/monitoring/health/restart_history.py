"""Remember restart counts, in order to see how much they grew."""

import time
from collections import deque
from collections.abc import Iterable, Mapping

from roas.models.health import ContainerSnapshot
from roas.monitoring.health.hysteresis import Clock

WINDOW_SECONDS = 300.0


class RestartHistory:
    """Keep the restart counts of the last minutes, by container."""

    def __init__(self, window_seconds: float = WINDOW_SECONDS, clock: Clock = time.monotonic) -> None:
        self._window_seconds = window_seconds
        self._clock = clock
        self._seen: dict[str, deque[tuple[float, int]]] = {}

    def take(self, containers: Iterable[ContainerSnapshot]) -> Mapping[str, int]:
        """Record the current counts, and return those at the beginning of the window by container id.

        A container that is seen for the first time counts from there: what it did before is not known.
        """
        now = self._clock()
        counts = {container.id: container.restart_count for container in containers}
        self._seen = {one: self._seen.get(one, deque()) for one in counts}
        for one, count in counts.items():
            seen = self._seen[one]
            if not seen or seen[-1][1] != count:
                seen.append((now, count))
            while len(seen) > 1 and now - seen[1][0] > self._window_seconds:
                seen.popleft()
        return {one: seen[0][1] for one, seen in self._seen.items()}
