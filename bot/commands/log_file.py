"""Keep the log of the command line out of the way: in a file of the state folder, on stderr with LOG_LEVEL=DEBUG."""

import io
import sys
from contextlib import suppress
from pathlib import Path

from roas.log import configure_logging
from roas.redaction import Redactor
from roas.settings import Settings

LOG_NAME = "command-line.log"
LARGEST_BYTES = 1024 * 1024
FILE_MODE = 0o600


def configure_log(settings: Settings, redactor: Redactor) -> None:
    """Send what the parts log to the file, which is made when there is something to write."""
    if is_debugging(settings):
        configure_logging(settings.log_level, settings.log_format, redactor, sys.stderr)
    else:
        path = settings.state_dir.expanduser().resolve() / LOG_NAME
        configure_logging(settings.log_level, "json", redactor, LogFile(path))


def is_debugging(settings: Settings) -> bool:
    """Return whether the user wants to see tracebacks."""
    return settings.log_level.upper() == "DEBUG"


class LogFile(io.StringIO):
    """Append to a file that is opened at the first line; without its folder nothing is kept."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._file: io.TextIOWrapper | None = None

    def write(self, text: str) -> int:
        """Append text."""
        with suppress(OSError):
            if self._file is None:
                self._file = self._open()
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        """Write out what was appended."""
        if self._file is not None:
            with suppress(OSError):
                self._file.flush()

    def _open(self) -> io.TextIOWrapper:
        if self._path.is_file() and self._path.stat().st_size > LARGEST_BYTES:
            self._path.replace(self._path.with_suffix(".log.old"))
        self._path.touch(mode=FILE_MODE, exist_ok=True)
        return self._path.open("a", encoding="utf-8")
