"""Continue without output when the terminal is closed: a failure to print must not end the work."""

import errno
import io
import sys
from typing import Any, TextIO


def outlive_terminals() -> None:
    """Ignore write errors on a closed terminal from now on."""
    sys.stdout = _detached(sys.stdout)
    sys.stderr = _detached(sys.stderr)


class _Terminal(io.FileIO):
    """Drop what a closed terminal does not take; the kernel calls that an input/output error."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return len(data)


def _detached(stream: TextIO) -> TextIO:
    if not isinstance(stream, io.TextIOWrapper) or not stream.isatty():
        return stream
    stream.flush()
    raw = _Terminal(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding=stream.encoding, errors=stream.errors, line_buffering=True)
