"""Say what a deployment holds of its environment: all of it, or, while it waits for a person, what it moved."""

from collections.abc import Mapping
from dataclasses import dataclass

from roas.models.deployment import UNTOUCHED_STEPS, ServiceProgress, ServiceStep

# What a deployment did with a service, and is done with.
ARRIVED = frozenset({ServiceStep.HEALTHY, ServiceStep.UNVERIFIED, ServiceStep.COMPLETED})


@dataclass(frozen=True, slots=True)
class Holding:
    """Hold how far a deployment is that holds an environment.

    One that is `paused` may wait for a person for hours. It holds the services that it is in the middle of; what it has
    not begun is on the release before, and what has arrived is on the one that it leads to (`to_release`).
    """

    deployment_id: str
    paused: bool
    to_release: int | None
    services: Mapping[str, ServiceProgress]

    def has_moved(self, service: str) -> bool:
        """Return whether something of a service was changed, or was about to be."""
        progress = self.services.get(service)
        return progress is not None and progress.step not in UNTOUCHED_STEPS

    def has_arrived(self, service: str) -> bool:
        """Return whether a service is on the release that the deployment leads to."""
        progress = self.services.get(service)
        return progress is not None and progress.step in ARRIVED

    def holds(self, service: str) -> bool:
        """Return whether nobody else may touch a service."""
        return not self.paused or (self.has_moved(service) and not self.has_arrived(service))
