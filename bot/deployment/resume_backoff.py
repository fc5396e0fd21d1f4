"""Back off before resuming a deployment that stopped although its process lived."""

import time

WAIT_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 300.0


class ResumeBackoff:
    """Track deployments that only the journal stopped (a full disk, say), which does not count as an attempt."""

    def __init__(self) -> None:
        self._waits: dict[str, tuple[int, float]] = {}

    def record(self, deployment_id: str) -> None:
        """Record one more failure, which lengthens the backoff."""
        times, _ = self._waits.get(deployment_id, (0, 0.0))
        wait = min(WAIT_SECONDS * 2 ** min(times, 6), LONGEST_WAIT_SECONDS)
        self._waits[deployment_id] = (times + 1, time.monotonic() + wait)

    def forget(self, deployment_id: str) -> None:
        """Forget a deployment that has ended, or that another process runs."""
        self._waits.pop(deployment_id, None)

    def is_known(self, deployment_id: str) -> bool:
        """Return whether a deployment last stopped although its process lived."""
        return deployment_id in self._waits

    def must_wait(self, deployment_id: str) -> bool:
        """Return whether it is too early to resume a deployment."""
        _, until = self._waits.get(deployment_id, (0, 0.0))
        return time.monotonic() < until
