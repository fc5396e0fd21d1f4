"""Check that engine and Compose are of the versions that this release was tested with."""

from packaging.version import InvalidVersion, Version

from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.validation.finding import failed, passed
from roas.validation.subject import Subject

# What `script/test` and `script/test --engine unstable` run on: Debian 13's packages and those of unstable.
TESTED_ENGINES = (Version("26.1"), Version("28.5"))
TESTED_COMPOSE = (Version("2.26"), Version("2.40"))


class TestedVersionsCheck:
    """Compare engine and Compose with the range that the tests cover; outside of it a deployment goes on."""

    __test__ = False
    name = "tested_versions"
    severity = Severity.INFO

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Say of each whether it lies in the tested range."""
        engine = (await subject.engine.version()).version
        compose = await subject.engine.compose_version()
        return [
            self._judge("Docker Engine", engine, TESTED_ENGINES),
            self._judge("Docker Compose", compose, TESTED_COMPOSE),
        ]

    def _judge(self, product: str, found: str, tested: tuple[Version, Version]) -> CheckResult:
        version = _minor(found)
        if version is not None and tested[0] <= version <= tested[1]:
            return passed(self, said("{product} {found} is a tested version.", product=product, found=found))
        return failed(
            self,
            said(
                "{product} {found} is outside the versions that were tested ({oldest} to {newest}).",
                product=product,
                found=found,
                oldest=str(tested[0]),
                newest=str(tested[1]),
            ),
            said("It will most likely work. Try a deployment to an environment that nobody depends on first."),
        )


def _minor(text: str) -> Version | None:
    """Return the first two parts of a version, which may carry a packager's suffix."""
    try:
        release = Version(text.removeprefix("v").split("-")[0].split("+")[0]).release
    except InvalidVersion:
        return None
    return Version(".".join(map(str, release[:2])))
