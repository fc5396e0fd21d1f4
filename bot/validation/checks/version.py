"""Check that something in the stack follows the version that is deployed."""

from collections.abc import Mapping

from roas.concurrency import in_thread
from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.validation.compose_variables import variables_of_images
from roas.validation.finding import failed, listed, passed
from roas.validation.subject import Subject


class VersionCheck:
    """Look for what a deployed version changes; without, a deployment succeeds and the version does not run."""

    name = "version"
    severity = Severity.WARNING

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Say how to map the version to the stack's own variables."""
        if subject.stack is None or not subject.reads_working_copy:
            return []
        if subject.stack.follows_version:
            return [passed(self, said("The stack follows the version that is deployed."))]
        message = said(
            "Nothing in the stack follows the version that is deployed: what runs stays what the files name."
        )
        found = await in_thread(variables_of_images, subject.environment.compose_files)
        return [failed(self, message, _remedy(subject.environment.name, found))]


def _remedy(environment: str, found: Mapping[str, list[tuple[str, str]]]) -> str:
    if not found:
        return said(
            "Let an image follow it: `image: name:${VERSION:-1.0}` for those that are built or pulled by version."
        )
    names = ", ".join(f'"{name}"' for name in found)
    uses = listed(
        said("{name} is in the image of {services}", name=name, services=listed(one for one, _ in uses))
        for name, uses in found.items()
    )
    return said(
        "Set `version_variables = [{names}]` in [environments.{environment}], with those that apply: {uses}.",
        names=names,
        environment=environment,
        uses=uses,
    )
