"""Define what a check is."""

from typing import Protocol, runtime_checkable

from roas.models.check import CheckResult, Severity
from roas.validation.subject import Subject


@runtime_checkable
class Check(Protocol):
    """One check; `severity` applies when the check itself hangs or fails."""

    name: str
    severity: Severity

    async def run(self, subject: Subject) -> CheckResult | list[CheckResult]:
        """Return what was found; an exception counts as a failed check."""
        ...
