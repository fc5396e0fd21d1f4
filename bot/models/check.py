"""Describe what a check of the environment found."""

from dataclasses import dataclass
from enum import StrEnum

# The check that passes on how the compose file was read.
COMPOSE_FILE = "compose_file"


class CheckSeverity(StrEnum):
    """How much a finding matters; only a failed critical check stops a deployment."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Hold the result of a check and, where it failed, how to fix it; `passing` is a fault that passes by itself."""

    check: str
    severity: CheckSeverity
    passed: bool
    message: str
    remedy: str = ""
    passing: bool = False


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """Gather what all checks found."""

    environment: str
    results: tuple[CheckResult, ...]

    @property
    def failures(self) -> tuple[CheckResult, ...]:
        """Return the failed critical checks: those that stop a deployment."""
        return tuple(r for r in self.results if not r.passed and r.severity is CheckSeverity.CRITICAL)

    @property
    def warnings(self) -> tuple[CheckResult, ...]:
        """Return the failed checks that do not stop a deployment but are worth repair."""
        return tuple(r for r in self.results if not r.passed and r.severity is CheckSeverity.WARNING)

    @property
    def passed(self) -> bool:
        """Return whether no critical check failed."""
        return not self.failures
