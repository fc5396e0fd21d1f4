"""Describe a release: the immutable truth about what an environment runs."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from roas.models.actor import Actor


class ReleaseState(StrEnum):
    """What became of a release."""

    CANDIDATE = "candidate"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ADOPTED = "adopted"

    @classmethod
    def _missing_(cls, value: object) -> "ReleaseState":
        """Read an unknown state of a newer version as one that is no automatic rollback target."""
        return cls.FAILED


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

    `replaces` is the release that the environment was on when this one was made: where a rollback leads.
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

    @property
    def label(self) -> str:
        """Return how people write it: `r12`."""
        return f"r{self.number}"

    def service(self, name: str) -> ReleaseService | None:
        """Return one service of the release, or None where the release has none of that name."""
        return next((service for service in self.services if service.name == name), None)
