"""Check that nobody else holds the fixed names of containers."""

from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.models.obstacle import ObstacleKind
from roas.validation.finding import failed, passed
from roas.validation.subject import Subject


class ContainerNamesCheck:
    """Report what resolving the stack found on the engine; Compose would fail in the middle of the execution."""

    name = "container_names"
    severity = Severity.CRITICAL

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Name each `container_name` that is held, and by whom."""
        if subject.stack is None:
            return []  # nothing can be said of a stack that did not resolve; the compose file's own check says why
        found = [one for one in subject.stack.obstacles if one.kind is ObstacleKind.CONTAINER_NAME]
        problems = [failed(self, one.message, one.remedy) for one in found]
        return problems or [passed(self, said("Every fixed container name is free."))]
