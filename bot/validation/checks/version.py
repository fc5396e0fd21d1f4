"""Check that something in the stack follows the version that is deployed."""

import asyncio
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from roas.models.check import CheckResult, Severity
from roas.validation.compose_variables import images_of
from roas.validation.finding import failed, listed, passed
from roas.validation.subject import Subject

IN_TAG = re.compile(r"(?<!\$)\$\{?(?P<name>[A-Za-z_][A-Za-z0-9_]*)")


class VersionCheck:
    """Look for what a deployed version changes; without, a deployment succeeds and the version does not run."""

    name = "version"
    severity = Severity.WARNING

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Say how to map the version to the stack's own variables."""
        if subject.stack is None or not subject.reads_working_copy:
            return []
        if subject.stack.follows_version:
            return [passed(self, "The stack follows the version that is deployed.")]
        message = "Nothing in the stack follows the version that is deployed: what runs stays what the files name."
        found = await asyncio.to_thread(_variables_of_images, subject.environment.compose_files)
        return [failed(self, message, _remedy(subject.environment.name, found))]


def _remedy(environment: str, found: Mapping[str, list[str]]) -> str:
    if not found:
        return "Let an image follow it: `image: name:${VERSION:-1.0}` for those that are built or pulled by version."
    names = ", ".join(f'"{name}"' for name in found)
    uses = listed(f"{name} is in the image of {listed(services)}" for name, services in found.items())
    return f"Set `version_variables = [{names}]` in [environments.{environment}], with those that apply: {uses}."


def _variables_of_images(compose_files: Iterable[Path]) -> dict[str, list[str]]:
    """Return the variables in the tags of images, each with its services."""
    found: dict[str, list[str]] = {}
    for service, image in images_of(compose_files):
        for name in dict.fromkeys(IN_TAG.findall(image[_tag_start(image) :])):
            found.setdefault(name, []).append(service)
    return found


def _tag_start(image: str) -> int:
    """Return where the tag begins: at the last colon outside of braces; at the text's end where there is none."""
    outside = re.sub(r"\$\{[^}]*\}", lambda match: "x" * len(match.group()), image)
    colon = outside.rfind(":")
    return colon if colon > outside.rfind("/") else len(image)
