"""Whoever waits by looking again and again leaves the machine to those whom it waits for."""

import threading
import time

from testbed.waiting import LONGEST_REST_SECONDS, POLL_SECONDS, rest_after, wait_until


def test_rest_is_longer_after_a_long_look():
    assert rest_after(0.0) == POLL_SECONDS
    assert rest_after(0.25) == 0.75
    assert rest_after(20.0) == LONGEST_REST_SECONDS
    assert rest_after(20.0, poll=2.0) == 2.0


def test_long_looks_take_a_quarter_of_the_time():
    looks = []

    def look() -> bool:
        looks.append(threading.Event().wait(0.05))
        return False

    begun = time.monotonic()
    assert not wait_until(look, 1.0)
    assert time.monotonic() - begun >= 1.0
    assert 2 <= len(looks) <= 6


def test_what_holds_at_last_is_seen():
    """There is a look at the deadline, too."""
    begun = time.monotonic()
    assert wait_until(lambda: time.monotonic() - begun >= 0.3, 0.3)
    assert not wait_until(lambda: False, 0.0)
