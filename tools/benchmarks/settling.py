"""Wait until a machine has nothing to do: what was asked of an engine goes on for a while after the answer."""

import os
import time
from pathlib import Path

LOOK_SECONDS = 1.0
# A quiet machine with three hundred containers has their probes to do.
IDLE_SHARE = 0.75
LOOKS = 3
DEADLINE_SECONDS = 60.0


def wait_until_settled() -> None:
    """Return once the processors rest for some seconds; on a machine that never does, after a minute."""
    deadline, quiet = time.monotonic() + DEADLINE_SECONDS, 0
    while quiet < LOOKS and time.monotonic() < deadline:
        before, began = _idle_seconds(), time.monotonic()
        time.sleep(LOOK_SECONDS)
        share = (_idle_seconds() - before) / (time.monotonic() - began) / (os.cpu_count() or 1)
        quiet = quiet + 1 if share >= IDLE_SHARE else 0


def _idle_seconds() -> float:
    """Return how long all processors together have had nothing to do."""
    first = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0].split()
    return (int(first[4]) + int(first[5])) / os.sysconf("SC_CLK_TCK")
