"""Check that the compose file parses and asks for nothing that the policy refuses."""

from roas.errors import ComposePolicyError, find_passing
from roas.messages.message import said
from roas.models.check import COMPOSE_FILE, CheckResult, Severity
from roas.validation.finding import failed, passed
from roas.validation.subject import Subject


class ComposeFileCheck:
    """Report how the compose file was resolved."""

    name = COMPOSE_FILE
    severity = Severity.CRITICAL

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Check that the files parse, and pass on the warnings of their resolution."""
        if (passing := find_passing(subject.stack_error)) is not None:
            raise passing
        if subject.stack_error is not None and not isinstance(subject.stack_error, ComposePolicyError):
            return [failed(self, subject.stack_error.message, subject.stack_error.hint)]
        if subject.stack is None:
            return []  # the policy's own check reports it
        files = ", ".join(path.name for path in subject.environment.compose_files)
        count = len(subject.stack.definitions)
        message = said("{files}: {count} service{plural}.", files=files, count=count, plural="" if count == 1 else "s")
        if not subject.reads_working_copy:
            message = said("The release has {count} service{plural}.", count=count, plural="" if count == 1 else "s")
        warnings = [failed(self, text, "", Severity.WARNING) for text in subject.stack.warnings]
        return [passed(self, message), *warnings]
