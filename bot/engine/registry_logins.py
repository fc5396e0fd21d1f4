"""Know the logins to registries as they are now: a person may log in while the bot runs."""

import os
from contextlib import suppress
from pathlib import Path

from roas.engine.docker_client import EngineClient

FILE_NAME = "config.json"
Version = tuple[int, int, int]


def login_folder() -> Path | None:
    """Return the folder that Docker's clients read logins from, where that is said."""
    named = os.environ.get("DOCKER_CONFIG")
    return Path(named) if named else None


def configuration_file() -> Path:
    """Return where Docker's clients read their configuration from."""
    return (login_folder() or Path.home() / ".docker") / FILE_NAME


class RegistryLogins:
    """Let clients read the logins again whenever they have changed: each reads them once by itself."""

    def __init__(self) -> None:
        self._known: dict[int, Version | None] = {}

    def refresh(self, client: EngineClient) -> None:
        """Read the file again where it is another one than before."""
        folder = login_folder()
        if folder is None:
            return
        version = _version(folder / FILE_NAME)
        if self._known.get(id(client)) != version:
            client.reload_config(str(folder / FILE_NAME))
            self._known[id(client)] = version


def _version(path: Path) -> Version | None:
    with suppress(OSError):
        status = path.stat()
        return status.st_ino, status.st_mtime_ns, status.st_size
    return None
