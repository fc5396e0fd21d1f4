"""Lay somebody's bot out in a folder, in the ways in which people do."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.unit.plugin import host

FILES = Path(host.__file__).parent
EXTENSION = "roas"


@dataclass(frozen=True)
class Layout:
    """Say what the host's program is called, and in which file its cog is; `folders` become packages."""

    name: str
    program: str = "main.py"
    logs: str = "own_logs.py"
    package: bool = False

    @property
    def logs_module(self) -> str:
        """Return the name of the extension that has the host's cog."""
        return self.logs.removesuffix(".py").replace("/", ".")

    def write(self, folder: Path) -> Path:
        """Write the bot's files and return its program."""
        folder.mkdir(parents=True)
        shutil.copy(FILES / "host_state.py", folder)
        shutil.copy(FILES / "main.py", folder / self.program)
        target = folder / self.logs
        target.parent.mkdir(exist_ok=True)
        shutil.copy(FILES / "own_logs.py", target)
        if self.package:
            (target.parent / "__init__.py").touch()
        return folder / self.program


PLAIN = Layout("plain")
OWN_BOT = Layout("own bot.py", program="bot.py")
COGS_PACKAGE = Layout("own cogs package", logs="cogs/logs.py", package=True)
COGS_FOLDER = Layout("own cogs folder", logs="cogs/logs.py")
