"""Check that Compose is confined while it reads what the stack's author wrote."""

from roas.engine.compose.jail import JailKind
from roas.models.check import CheckResult, Severity
from roas.validation.finding import failed, passed
from roas.validation.subject import Subject

CONFINED = {
    JailKind.SETPRIV: "Compose reads a copy of the stack's files, confined by Landlock and seccomp (setpriv).",
    JailKind.HELPER: "Compose reads a copy of the stack's files, confined by Landlock and seccomp (by a helper).",
}


class JailCheck:
    """Report which jail is in force."""

    name = "jail"
    severity = Severity.CRITICAL

    async def run(self, subject: Subject) -> CheckResult:
        """Ask what this machine confines Compose with."""
        kind = await subject.engine.jail()
        if kind in CONFINED:
            return passed(self, CONFINED[kind])
        return failed(
            self,
            "Compose cannot be confined here: no Landlock.",
            "Use a kernel from 5.13 on with Landlock among its security modules (`lsm=landlock,…` at boot), and a"
            " container engine whose seccomp profile lets a container use it (Docker from 23.0 on).",
        )
