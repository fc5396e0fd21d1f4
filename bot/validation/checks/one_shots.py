"""Advise on services that look as if they end, and do not say so."""

from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.validation.finding import failed, listed, passed
from roas.validation.subject import Subject


class OneShotsCheck:
    """Look for services that nothing starts again and that have no health check."""

    name = "one_shots"
    severity = Severity.INFO

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Name them, and how to say what they are."""
        if subject.stack is None:
            return []  # nothing can be said of a stack that did not resolve; the compose file's own check says why
        found = sorted(name for name, one in subject.stack.definitions.items() if one.may_end and not one.one_shot)
        if not found:
            return [passed(self, said("Every service says whether it ends."))]
        message = said(
            "These look as if they may end, and an end with code 0 counts as success: {found}.", found=listed(found)
        )
        remedy = said(
            "Say `x-deploy: {one_shot: true}` for those that end, so that it is waited for, and `false` for others."
        )
        return [failed(self, message, remedy)]
