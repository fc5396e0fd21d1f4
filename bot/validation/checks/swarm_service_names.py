"""Check that no service of somebody else's has the name of one of ours."""

from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.models.obstacle import ObstacleKind
from roas.validation.finding import failed, passed
from roas.validation.subject import Subject


class SwarmServiceNamesCheck:
    """Report what resolving the stack found on the Swarm: what is not of this stack is not written over."""

    name = "swarm_service_names"
    severity = Severity.CRITICAL

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Name each service that is there and is not ours."""
        if subject.stack is None or not subject.environment.on_swarm:
            return []
        found = [one for one in subject.stack.obstacles if one.kind is ObstacleKind.SERVICE_NAME]
        problems = [failed(self, one.message, one.remedy) for one in found]
        return problems or [passed(self, said("No service of another stack has the name of one of this stack."))]
