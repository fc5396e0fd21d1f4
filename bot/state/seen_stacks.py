"""Keep how stacks were seen last, each in a file of its own: a bot that starts and can ask nobody shows that."""

import os
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from roas.concurrency import in_thread
from roas.log import get_logger
from roas.models.health import StackHealth
from roas.state.documents import from_json, to_json

log = get_logger(__name__)

FOLDER_MODE, FILE_MODE = 0o700, 0o600


class SeenStacks:
    """Write and read what was seen; it is for people only, and decides nothing."""

    def __init__(self, folder: Path, redact: Callable[[str], str] = str) -> None:
        self._folder = folder
        self._redact = redact

    async def save(self, stack: StackHealth) -> None:
        """Keep what was seen in the place of what was seen before; a disk that refuses is logged."""
        try:
            await in_thread(self._write, stack.environment, self._redact(to_json(stack)))
        except OSError as error:
            log.warning("what was seen is not kept", environment=stack.environment, error=str(error))

    async def load(self, environment: str) -> StackHealth | None:
        """Return what was seen last, or None where nothing was that can be read."""
        try:
            return from_json(StackHealth, await in_thread(self._path(environment).read_text))
        except (OSError, ValidationError, ValueError):
            return None

    def _write(self, environment: str, document: str) -> None:
        self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        path = self._path(environment)
        beside = path.with_suffix(".new")
        beside.unlink(missing_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "w") as file:
            file.write(document)
        beside.replace(path)

    def _path(self, environment: str) -> Path:
        return self._folder / f"{environment}.json"
