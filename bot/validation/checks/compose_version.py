"""Check that the Compose CLI is installed and new enough."""

from packaging.version import InvalidVersion, Version

from roas.messages.message import said
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
                said("Compose reports the version {found}, which cannot be read.", found=repr(found)),
                said("Install Docker Compose {minimum} or later.", minimum=str(MINIMUM)),
            )
        if version < MINIMUM:
            message = said("Docker Compose {found} does not know `depends_on.required` and `include`.", found=found)
            return failed(self, message, said("Install Docker Compose {minimum} or later.", minimum=str(MINIMUM)))
        return passed(self, said("Docker Compose {found} is installed.", found=found))
