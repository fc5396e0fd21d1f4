"""Write log lines where the reader may be away: a terminal or a pipe that takes nothing must stop no bot.

A terminal that is held (Ctrl-S), a connection to it that hangs, or an engine that is away while its containers live on
takes some 64 KB, and then nothing until somebody reads: who writes is blocked in the kernel, with the event loop.
"""

import io
import logging
import os
import select
import stat
import threading
from collections import deque
from collections.abc import Callable
from typing import TextIO

# What waits for a reader, beyond what the kernel takes; more is dropped, and counted.
MOST_BYTES = 1024 * 1024
# For how long the end of the process waits for a reader.
LAST_SECONDS = 2.0
# Return the record that says how many lines were dropped.
TellDropped = Callable[[int], logging.LogRecord]


def may_block(stream: TextIO) -> bool:
    """Return whether writing to a stream may wait for somebody who reads it; a file never does."""
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)


def log_handler(stream: TextIO, tell_dropped: TellDropped) -> logging.StreamHandler[TextIO]:
    """Return what writes log lines to a stream, without waiting for its reader."""
    return PatientHandler(stream, tell_dropped) if may_block(stream) else logging.StreamHandler(stream)


class PatientHandler(logging.StreamHandler[TextIO]):
    """Write from a thread; lines for which there was no room are told of once there is."""

    def __init__(self, stream: TextIO, tell_dropped: TellDropped) -> None:
        stream.flush()
        self._lines = _LineWriter(stream.fileno(), stream.encoding or "utf-8")
        self._tell_dropped = tell_dropped
        super().__init__(self._lines)

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a line over, and before it how many were dropped."""
        if dropped := self._lines.take_dropped():
            super().emit(self._tell_dropped(dropped))
        super().emit(record)

    def close(self) -> None:
        """Give the last lines a moment: `logging` calls it when the process ends."""
        self._lines.drain(LAST_SECONDS)
        super().close()


class _LineWriter(io.StringIO):
    """Take text at once, and write it to a descriptor from a thread.

    Not by way of Python's own stream: one that is locked by a blocked thread lets no process end.
    """

    def __init__(self, descriptor: int, encoding: str) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._encoding = encoding
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._dropped = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def write(self, text: str, /) -> int:
        data = text.encode(self._encoding, "backslashreplace")
        with self._changed:
            if self._dropped or self._bytes + len(data) > MOST_BYTES:  # one gap, which is told of, and not many
                self._dropped += 1
                return len(text)
            self._waiting.append(data)
            self._bytes += len(data)
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_on, name="log", daemon=True)
                self._thread.start()
        return len(text)

    def take_dropped(self) -> int:
        """Return how many lines were dropped since this was asked last, once half of the room is free again."""
        with self._changed:
            if not self._dropped or self._bytes > MOST_BYTES // 2:
                return 0
            dropped, self._dropped = self._dropped, 0
            return dropped

    def drain(self, seconds: float) -> None:
        """Wait until all is written, but not for long."""
        with self._changed:
            self._changed.wait_for(lambda: not self._bytes, seconds)

    def _write_on(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                data = self._waiting.popleft()
            _write_all(self._descriptor, data)
            with self._changed:
                self._bytes -= len(data)
                self._changed.notify_all()


def _write_all(descriptor: int, data: bytes) -> None:
    """Write to a descriptor; what a closed terminal or pipe does not take is lost."""
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:  # others that have the same terminal open may have made it so
            select.select([], [descriptor], [])
        except OSError:
            return
