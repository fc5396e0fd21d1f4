"""Describe a release: the immutable truth about what an environment runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from roas.models.actor import Actor
from roas.models.deployment import UNTOUCHED_STEPS, ServiceProgress, ServiceStep
from roas.models.rollout import RolloutState
from roas.models.stored import StoredEnum


class ReleaseState(StoredEnum, unknown="failed"):
    """What became of a release; an unknown one counts as one that is no automatic rollback target."""

    CANDIDATE = "candidate"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ADOPTED = "adopted"


@dataclass(frozen=True, slots=True)
class ImagePin:
    """Pin an image to its content."""

    reference: str
    image_id: str
    digest: str | None = None
    built: bool = False


@dataclass(frozen=True, slots=True)
class ReleaseService:
    """Pin one service of a release; `definition_hash` covers all of its resolved definition."""

    name: str
    image: ImagePin
    definition_hash: str
    replicas: int = 1


@dataclass(frozen=True, slots=True)
class Release:
    """Record what a release is made of; the resolved model is a file of its own, named by its hash.

    `replaces` is the release that the environment was on when this one was made: where a rollback leads. `files_hash`
    names the list of the files that it was made of; empty where it was adopted, or only a part of it was deployed.
    """

    environment: str
    number: int
    version: str
    state: ReleaseState
    services: tuple[ReleaseService, ...]
    model_hash: str
    created_at: datetime
    created_by: Actor
    deployment_id: str | None = None
    replaces: int | None = None
    files_hash: str = ""

    @property
    def label(self) -> str:
        """Return how people write it: `r12`."""
        return f"r{self.number}"

    def service(self, name: str) -> ReleaseService | None:
        """Return one service of the release, or None where the release has none of that name."""
        return next((service for service in self.services if service.name == name), None)


# What a deployment did with a service, and is done with.
ARRIVED = frozenset({ServiceStep.HEALTHY, ServiceStep.UNVERIFIED, ServiceStep.COMPLETED})


@dataclass(frozen=True, slots=True)
class Holding:
    """Hold how far a deployment is that holds an environment.

    One that waits for a person, perhaps for hours, or bakes, `is_partial`: it holds only the services that it is in the
    middle of, and those that bake. What it has not begun is on the release before, and what has arrived is on the one
    that it leads to (`to_release`).
    """

    deployment_id: str
    is_partial: bool
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
        is_held = self.has_moved(service) and not self.has_arrived(service)
        return not self.is_partial or is_held or self.bakes(service)

    def bakes(self, service: str) -> bool:
        """Return whether a service bakes: the deployment itself takes it back, unless it asks a person about it."""
        progress = self.services.get(service)
        rollout = progress.rollout if progress is not None else None
        if rollout is None or rollout.canary is None or rollout.state is RolloutState.PAUSED:
            return False
        return rollout.canary.bakes_until is not None
