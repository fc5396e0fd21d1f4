"""Check that the external networks and volumes of the stack exist."""

from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.models.obstacle import ObstacleKind
from roas.validation.finding import failed, passed
from roas.validation.subject import Subject


class ExternalResourcesCheck:
    """Report what resolving the stack found on the engine; Compose would fail in the middle of the execution."""

    name = "external_resources"
    severity = Severity.CRITICAL

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Name the external networks and volumes that are missing."""
        if subject.stack is None:
            return []  # nothing can be said of a stack that did not resolve; the compose file's own check says why
        found = [one for one in subject.stack.obstacles if one.kind is ObstacleKind.EXTERNAL]
        problems = [failed(self, one.message, one.remedy) for one in found]
        return problems or [passed(self, said("Every external network and volume exists."))]
