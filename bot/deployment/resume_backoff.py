"""Back off before resuming a deployment that stopped although its process lived."""

import time

from roas.backoff import PATIENTLY, Backoff


class ResumeBackoff:
    """Track deployments that only the journal stopped (a full disk, say), which does not count as an attempt."""

    def __init__(self) -> None:
        self._waits: dict[str, tuple[Backoff, float]] = {}

    def record(self, deployment_id: str) -> None:
        """Record one more failure, which lengthens the backoff."""
        backoff, _ = self._waits.get(deployment_id, (Backoff(PATIENTLY), 0.0))
        self._waits[deployment_id] = (backoff, time.monotonic() + backoff.failed())

    def forget(self, deployment_id: str) -> None:
        """Forget a deployment that has ended, or that another process runs."""
        self._waits.pop(deployment_id, None)

    def is_known(self, deployment_id: str) -> bool:
        """Return whether a deployment last stopped although its process lived."""
        return deployment_id in self._waits

    def must_wait(self, deployment_id: str) -> bool:
        """Return whether it is too early to resume a deployment."""
        return deployment_id in self._waits and time.monotonic() < self._waits[deployment_id][1]
