"""Check that the image of each service is here, can be pulled or can be built."""

import asyncio
from collections.abc import Awaitable, Callable

from roas.errors import ImageNotFoundError, RegistryUnavailableError, RoasError, find_passing
from roas.messages.message import joined, said
from roas.models.check import CheckResult, Severity
from roas.models.stack import WantedImage
from roas.validation.finding import failed, listed, passed
from roas.validation.subject import Subject

LookUp = Callable[[str], Awaitable[WantedImage]]
AT_ONCE = 4
REGISTRY_SECONDS = 8.0  # under the deadline of a check, so that a slow registry is a warning and no failure


class ImagesCheck:
    """Look up every image; a registry that is unavailable is only a warning, since preparation tries again."""

    name = "images"
    severity = Severity.CRITICAL

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Explain for each unavailable image why it is."""
        if subject.stack is None:
            return []  # nothing can be said of a stack that did not resolve; the compose file's own check says why
        if subject.look_up_image is None:
            return [passed(self, said("No image is looked up: nothing of the working copy is deployed."))]
        services = _service_by_image(subject)
        slots = asyncio.Semaphore(AT_ONCE)
        found = await asyncio.gather(
            *(self._look_up(subject.look_up_image, names, slots) for names in services.values())
        )
        problems = [result for result in found if result is not None]
        return problems or [
            passed(
                self,
                said(
                    "{services} image{plural} available.",
                    services=len(services),
                    plural="" if len(services) == 1 else "s",
                ),
            )
        ]

    async def _look_up(self, look_up: LookUp, services: list[str], slots: asyncio.Semaphore) -> CheckResult | None:
        text = f"({listed(services)})"
        try:
            async with slots, asyncio.timeout(REGISTRY_SECONDS):
                await look_up(services[0])
        except ImageNotFoundError as error:
            return failed(self, joined(" ", (error.message, text)), error.hint)
        except RegistryUnavailableError as error:
            return failed(self, joined(" ", (error.message, text)), error.hint, Severity.WARNING)
        except TimeoutError:
            message = said(
                "The registry did not answer within {seconds} s {text}.",
                seconds=f"{REGISTRY_SECONDS:g}",
                text=text,
            )
            return failed(self, message, said("Preparation tries again; look at the registry."), Severity.WARNING)
        except RoasError as error:
            if find_passing(error) is not None:
                raise
            return failed(self, joined(" ", (error.message, text)), error.hint)
        return None


def _service_by_image(subject: Subject) -> dict[str, list[str]]:
    """Group the services by what has to be looked up, so that a shared image is asked for once."""
    groups: dict[str, list[str]] = {}
    for name, definition in sorted(subject.stack.definitions.items() if subject.stack else ()):
        groups.setdefault(name if definition.built else definition.image, []).append(name)
    return groups
