"""Check that the Compose CLI is installed and new enough."""

from packaging.version import InvalidVersion, Version

from roas.models.check import CheckResult, Severity
from roas.validation.finding import failed, passed
from roas.validation.subject import Subject

# 2.20 is the first that knows `depends_on.required` and `include`, which decide what is started and in which order.
MINIMUM = Version("2.20")


class ComposeVersionCheck:
    """Ask the Compose CLI for its version."""

    name = "compose_version"
    severity = Severity.CRITICAL

    async def run(self, subject: Subject) -> CheckResult:
        """Compare the CLI's version with the least that is needed."""
        found = await subject.engine.compose_version()
        try:
            version = Version(found.removeprefix("v").split("-")[0].split("+")[0])
        except InvalidVersion:
            return failed(
                self,
                f"Compose reports the version {found!r}, which cannot be read.",
                f"Install Docker Compose {MINIMUM} or later.",
            )
        if version < MINIMUM:
            message = f"Docker Compose {found} does not know `depends_on.required` and `include`."
            return failed(self, message, f"Install Docker Compose {MINIMUM} or later.")
        return passed(self, f"Docker Compose {found} is installed.")
