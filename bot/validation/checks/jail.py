"""Check that Compose is confined while it reads what the stack's author wrote."""

from roas.engine.compose.jail import JailKind
from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.validation.finding import passed
from roas.validation.subject import Subject

CONFINED = {
    JailKind.SETPRIV: said("Compose reads a copy of the stack's files, confined by Landlock and seccomp (setpriv)."),
    JailKind.HELPER: said("Compose reads a copy of the stack's files, confined by Landlock and seccomp (by a helper)."),
    JailKind.CONTAINER: said(
        "Compose reads a copy of the stack's files in a container without network: no Landlock here."
    ),
}


class JailCheck:
    """Report which jail is in force."""

    name = "jail"
    severity = Severity.CRITICAL

    async def run(self, subject: Subject) -> CheckResult:
        """Ask what this machine confines Compose with."""
        kind = await subject.engine.jail()
        return passed(self, CONFINED[kind])
