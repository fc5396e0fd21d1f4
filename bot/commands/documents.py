"""Define the JSON documents of commands that print several records."""

from dataclasses import dataclass

from roas.models.check import ValidationReport
from roas.models.deployment import Deployment
from roas.models.release import Release


@dataclass(frozen=True, slots=True)
class DeploymentList:
    """The output of `history --json`."""

    deployments: tuple[Deployment, ...]


@dataclass(frozen=True, slots=True)
class ReleaseList:
    """The output of `releases --json`; `current` is the number of the running one."""

    environment: str
    current: int | None
    releases: tuple[Release, ...]


@dataclass(frozen=True, slots=True)
class ValidationReports:
    """The output of `doctor --json`."""

    passed: bool
    reports: tuple[ValidationReport, ...]
