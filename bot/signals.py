"""Handle the signals that people send to a service: some stop it, the others are ignored.

By default a process ends by nearly every signal. Who sends SIGHUP or SIGUSR1 to a service, out of habit, wants it to
read its files again; a bot that ended by that would not be restarted, since the engine saw a manual signal.
"""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from roas.log import get_logger

log = get_logger(__name__)

STOPPING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})
IGNORED = frozenset(
    {
        signal.SIGHUP,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGALRM,
        signal.SIGVTALRM,
        signal.SIGPROF,
        *(number for number in signal.valid_signals() if number >= getattr(signal, "SIGRTMIN", signal.NSIG)),
        *(getattr(signal, name) for name in ("SIGIO", "SIGPWR", "SIGSTKFLT") if hasattr(signal, name)),
    }
)

HINT = (
    "To stop the bot: docker stop. If this came by `docker kill`, the engine will not start this container again "
    "after a crash until somebody has: docker restart it when it suits."
)


@contextmanager
def stop_signals() -> Iterator[asyncio.Event]:
    """Provide an event that is set when this process is asked to stop, for the length of a block."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def end(number: signal.Signals) -> None:
        log.info("stop requested" if not stop.is_set() else "stopping already", signal=name_of(number))
        stop.set()

    def ignore(number: int) -> None:
        log.warning("signal ignored", signal=name_of(number), hint=HINT)

    for number in STOPPING:
        loop.add_signal_handler(number, end, number)
    # Not by the loop: for each of these forty it would make a list of all of them first.
    for number in IGNORED:
        signal.signal(number, lambda heard, _frame: loop.call_soon_threadsafe(ignore, heard))
        signal.siginterrupt(number, False)
    try:
        yield stop
    finally:
        for number in IGNORED:
            signal.signal(number, signal.SIG_DFL)
        for number in STOPPING:
            loop.remove_signal_handler(number)


def ignore_stop_signals() -> None:
    """Let no further request to stop change the exit code of a process that has stopped in order and only ends yet.

    Whoever takes over makes sure that it ends, and may ask it once more.
    """
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


def name_of(number: int) -> str:
    """Return a signal's name; only some of the real-time ones have one."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"
