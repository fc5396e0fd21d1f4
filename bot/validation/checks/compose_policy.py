"""Check that the compose file asks for nothing that the policy refuses."""

from roas.errors import ComposePolicyError
from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.validation.finding import failed, passed
from roas.validation.subject import Subject


class ComposePolicyCheck:
    """Report what the policy said of the compose file."""

    name = "compose_policy"
    severity = Severity.CRITICAL

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Name the rule that the compose file breaks."""
        if isinstance(subject.stack_error, ComposePolicyError):
            return [failed(self, subject.stack_error.message, subject.stack_error.hint)]
        if subject.stack is None:
            return []  # what does not parse cannot be judged; the compose file's own check says so
        return [passed(self, said("Nothing that the policy refuses."))]
