"""Define what a check is."""

from typing import Protocol, runtime_checkable

from roas.models.check import CheckResult, Severity
from roas.validation.subject import Subject


@runtime_checkable
class Check(Protocol):
    """Look at one thing; `severity` is how much it matters when the check itself hangs or breaks."""

    name: str
    severity: Severity

    async def run(self, subject: Subject) -> CheckResult | list[CheckResult]:
        """Say what was found; an exception counts as a failed check."""
        ...
