"""What a command in a container says of its fault is kept within bounds."""

import io
from collections import deque
from types import SimpleNamespace
from typing import Any

from roas.stack.backups.streams import CHUNK_BYTES, HEADER, LINES_SHOWN, LONGEST_LINE, STDERR, _read


def test_last_lines_of_a_fault_are_short() -> None:
    """They go into the journal, and a stack's author chooses them."""
    output = b"".join(HEADER.pack(STDERR, CHUNK_BYTES) + b"x" * CHUNK_BYTES for _ in range(LINES_SHOWN + 5))
    raw = SimpleNamespace(_fp=SimpleNamespace(fp=io.BytesIO(output + HEADER.pack(STDERR, 6) + b"a\nlast")))
    streams: Any = SimpleNamespace(response=SimpleNamespace(raw=raw))
    lines: deque[str] = deque(maxlen=LINES_SHOWN)
    assert _read("unix:///x", streams, lambda _chunk: None, lines)
    assert len(lines) == LINES_SHOWN
    assert max(map(len, lines)) == LONGEST_LINE
    assert lines[-1] == "last"
