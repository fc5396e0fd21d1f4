"""Wait for a condition by a monotonic deadline."""

import threading
import time
from collections.abc import Callable

POLL_SECONDS = 0.05  # each look may cost an engine and a test some milliseconds of a core


def wait_until(condition: Callable[[], bool], seconds: float, poll: float = POLL_SECONDS) -> bool:
    """Return True as soon as the condition holds, False when the deadline passes without it."""
    deadline = time.monotonic() + seconds
    never = threading.Event()
    while not condition():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        never.wait(min(poll, left))
    return True
