"""Wait for a condition by a monotonic deadline."""

import threading
import time
from collections.abc import Callable

POLL_SECONDS = 0.05  # each look may cost an engine and a test some milliseconds of a core
# Whoever waits leaves the machine to those who are waited for: a program in a container takes a look 60 ms of a core,
# and tells no more when it is asked without a pause.
RESTS = 3.0
LONGEST_REST_SECONDS = 1.0


def rest_after(poll_took: float, poll: float = POLL_SECONDS) -> float:
    """Return for how long to rest after a look that took so long."""
    return max(poll, min(RESTS * poll_took, LONGEST_REST_SECONDS))


def wait_until(condition: Callable[[], bool], seconds: float, poll: float = POLL_SECONDS) -> bool:
    """Return True as soon as the condition holds, False when the deadline passes without it."""
    deadline = time.monotonic() + seconds
    never = threading.Event()
    begun = time.monotonic()
    while not condition():
        now = time.monotonic()
        if now >= deadline:
            return False
        never.wait(min(rest_after(now - begun, poll), deadline - now))
        begun = time.monotonic()
    return True
