"""Continue without output when the terminal is closed or a disk is full: a failure to print must not end the work."""

import errno
import io
import os
import sys
from typing import IO, Any, TextIO

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
STREAMS = ("stdin", "stdout", "stderr")
# With it Python ends, too, where it could not write what was printed.
NOT_WRITTEN = 120


def open_missing_streams() -> None:
    """Have something in the place of a stream that this process was started without.

    Else the next file that is opened is there, and gets what is printed.
    """
    for number, name in enumerate(STREAMS):
        if getattr(sys, name) is None and os.open(os.devnull, os.O_RDWR) == number:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115


def outlive_terminals() -> None:
    """Ignore write errors on a closed terminal and a full disk from now on."""
    sys.stdout = _detached(sys.stdout)
    sys.stderr = _detached(sys.stderr)


def say_what_was_lost() -> bool:
    """Say on stderr, and return, whether a full disk did not take what was printed."""
    raw = _raw(sys.stdout)
    if not isinstance(raw, _Terminal) or raw.lost is None:
        return False
    sys.stderr.write(f"error: The output could not be written: {raw.lost.strerror}.\n")
    sys.stderr.flush()
    return True


def can_draw(stream: IO[str]) -> bool:
    """Return whether somebody sees what is drawn on a stream; a file, a pipe and a dumb terminal get plain lines."""
    return stream.isatty() and os.environ.get("TERM", "") != "dumb"


class _Terminal(io.FileIO):
    """Drop what a closed terminal does not take, which the kernel calls an input/output error, nor a full disk."""

    lost: OSError | None = None
    is_terminal = False  # one that has been closed says that it is none

    def write(self, data: Any, /) -> int:
        """Write; a full disk is kept in `lost`. Raises OSError for any other fault than a terminal that is gone."""
        try:
            return super().write(data)
        except OSError as error:
            if error.errno in FULL:
                self.lost = error
            elif error.errno != errno.EIO or not self.is_terminal:
                raise
            return len(data)


def _raw(stream: TextIO) -> object:
    """Return what writes to the file; with PYTHONUNBUFFERED nothing is before it."""
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)


def _detached(stream: TextIO) -> TextIO:
    if not isinstance(stream, io.TextIOWrapper) or type(_raw(stream)) is not io.FileIO:
        return stream
    stream.flush()
    raw = _Terminal(stream.fileno(), "w", closefd=False)
    raw.is_terminal = stream.isatty()
    return io.TextIOWrapper(
        raw if stream.write_through else io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
