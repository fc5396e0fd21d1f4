"""Let Ctrl-C end a program that is still being loaded as it ends any other: at once, and without a traceback."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ended_by_ctrl_c() -> Iterator[None]:
    """End the process by Ctrl-C until `interruptible`, or the end of the block; not where that is ignored (nohup)."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        interruptible()


def interruptible() -> None:
    """Raise KeyboardInterrupt from here on: there is somebody who handles it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
