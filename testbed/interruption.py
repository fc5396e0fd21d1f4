"""Take every signal that ends a program for Ctrl-C: who is interrupted in order leaves nothing behind."""

import signal
from types import FrameType

# Of a terminal that is closed, of `timeout`, of a service manager and of a keyboard.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def heeded() -> frozenset[signal.Signals]:
    """Return which of them end this program: `nohup` makes it ignore the end of its terminal.

    A shell lets what it runs in the background ignore SIGINT; whoever sends that to one process alone means it.
    """
    is_protected = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return frozenset(ENDING) - ({signal.SIGHUP} if is_protected else frozenset())


def end_as_by_ctrl_c() -> None:
    """Raise KeyboardInterrupt by whichever signal ends this program; asyncio makes an orderly end of it, too."""
    for number in heeded():
        signal.signal(number, _interrupt)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGINT)
