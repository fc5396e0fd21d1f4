"""Check that there is room for images, containers and the journal."""

import contextlib
from pathlib import Path

from roas.errors import EngineUnavailableError
from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.validation.finding import existing, failed, in_bytes, passed
from roas.validation.subject import Subject

# A full disk corrupts what runs already: no deployment below the first limit, a warning below the second.
MINIMUM_BYTES = 512 * 1024**2
RECOMMENDED_BYTES = 2 * 1024**3


class DiskCheck:
    """Measure the free space of the engine's data root, where it can be seen, and of the state folder."""

    name = "disk"
    severity = Severity.CRITICAL

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Compare the free bytes of each place with the least that is needed."""
        places: dict[str, Path] = {said("the state folder"): existing(subject.settings.state_dir)}
        with contextlib.suppress(EngineUnavailableError):  # the engine's own check says so
            places[said("the engine's data root")] = Path((await subject.engine.version()).data_root)
        return [await self._measure(subject, text, path) for text, path in places.items()]

    async def _measure(self, subject: Subject, text: str, path: Path) -> CheckResult:
        free = await subject.engine.disk_free(path)
        if free is None:
            return passed(
                self, said("The free space of {text} ({path}) cannot be read from here.", text=text, path=path)
            )
        message = said("{free} are free for {text} ({path}).", free=in_bytes(free), text=text, path=path)
        remedy = said("Make room, for instance with `docker image prune` and `docker builder prune`.")
        if free < MINIMUM_BYTES:
            return failed(
                self,
                message,
                said(
                    "{remedy} At least {least} are needed.",
                    remedy=remedy,
                    least=in_bytes(MINIMUM_BYTES),
                ),
            )
        if free < RECOMMENDED_BYTES:
            return failed(self, message, remedy, Severity.WARNING)
        return passed(self, message)
