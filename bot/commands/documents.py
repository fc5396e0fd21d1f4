"""Define the JSON documents of commands that print several records."""

from dataclasses import dataclass

from roas.models.check import ValidationReport
from roas.models.deployment import Deployment
from roas.models.release import Release


@dataclass(frozen=True, slots=True)
class DeploymentList:
    """Hold what `history --json` prints."""

    deployments: tuple[Deployment, ...]


@dataclass(frozen=True, slots=True)
class ReleaseList:
    """Hold what `releases --json` prints; `current` is the number of the one that runs."""

    environment: str
    current: int | None
    releases: tuple[Release, ...]


@dataclass(frozen=True, slots=True)
class ValidationReports:
    """Hold what `doctor --json` prints."""

    passed: bool
    reports: tuple[ValidationReport, ...]
