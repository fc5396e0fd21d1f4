"""Handle Ctrl-C, SIGTERM and a terminal that is closed, while a deployment is followed."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto


class Interruption(Enum):
    """What the person at the keyboard wants."""

    CANCEL = auto()
    LEAVE = auto()


@contextmanager
def interruptions() -> Iterator["asyncio.Queue[Interruption]"]:
    """Yield the person's requests: the first Ctrl-C asks to cancel, the second (or SIGTERM) to leave.

    When the terminal is closed, the work goes on without output: it must not be left half done.
    """
    loop = asyncio.get_running_loop()
    wanted: asyncio.Queue[Interruption] = asyncio.Queue()
    pressed = 0

    def press() -> None:
        nonlocal pressed
        pressed += 1
        wanted.put_nowait(Interruption.CANCEL if pressed == 1 else Interruption.LEAVE)

    loop.add_signal_handler(signal.SIGINT, press)
    loop.add_signal_handler(signal.SIGTERM, wanted.put_nowait, Interruption.LEAVE)
    loop.add_signal_handler(signal.SIGHUP, _ignore_hangup)
    try:
        yield wanted
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(number)


def _ignore_hangup() -> None:
    """Handle the closing of the terminal, which does not end the deployment."""
