"""Check that engine and Compose are of the versions that this release was tested with."""

from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.validation.finding import failed, passed
from roas.validation.subject import Subject
from roas.validation.versions import numbers_of

# What `script/test` and `script/test --engine unstable` run on: Debian 13's packages and those of unstable.
TESTED_ENGINES = ("26.1", "28.5")
TESTED_COMPOSE = ("2.26", "2.40")


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

    def _judge(self, product: str, found: str, tested: tuple[str, str]) -> CheckResult:
        oldest, newest = map(numbers_of, tested)
        if oldest <= numbers_of(found)[:2] <= newest:
            return passed(self, said("{product} {found} is a tested version.", product=product, found=found))
        return failed(
            self,
            said(
                "{product} {found} is outside the versions that were tested ({oldest} to {newest}).",
                product=product,
                found=found,
                oldest=tested[0],
                newest=tested[1],
            ),
            said("It will most likely work. Try a deployment to an environment that nobody depends on first."),
        )
