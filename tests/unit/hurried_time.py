"""A clock for tests that wait: whatever nothing but time would end is over at once.

The loop is pytest's own, with its threads and its sockets. Where nobody but a timer has anything to do, its clock is
put forward to that timer; while work is in a thread, it goes as any clock does. The bot's modules read the same clock.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from tests.unit.deploy.virtual_time import clocks_of

# For so long something may still come from outside: a byte in a socket, a thread that was not begun by the loop.
GRACE_SECONDS = 0.005


class HurriedClock:
    """Put the clock of a loop forward while it has nothing to do."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop: Any = loop
        self._skipped = 0.0
        self._at_work = 0
        self._select: Callable[[float | None], list[Any]] = self._loop._selector.select
        self._run_in_executor: Callable[..., asyncio.Future[Any]] = loop.run_in_executor

    def time(self) -> float:
        """Return the time of the loop."""
        return time.monotonic() + self._skipped

    def select(self, timeout: float | None = None) -> list[Any]:
        """Wait for what comes from outside; for a timer only as long as it takes to see that nothing comes."""
        if timeout is None or timeout <= GRACE_SECONDS or self._at_work:
            return self._select(timeout)
        if not (events := self._select(GRACE_SECONDS)):
            self._skipped += timeout - GRACE_SECONDS
        return events

    def run_in_executor(self, *arguments: Any) -> asyncio.Future[Any]:
        """Count what is done in threads: nothing is skipped meanwhile."""
        future = self._run_in_executor(*arguments)
        self._at_work += 1
        future.add_done_callback(self._done)
        return future

    def _done(self, _future: asyncio.Future[Any]) -> None:
        self._at_work -= 1


@contextmanager
def hurried(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Let a loop, and the modules of the bot, wait for nothing that only time would end."""
    clock = HurriedClock(loop)
    inner: Any = loop
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(inner._selector, "select", clock.select))
        stack.enter_context(mock.patch.object(loop, "run_in_executor", clock.run_in_executor))
        stack.enter_context(mock.patch.object(loop, "time", clock.time))
        stack.enter_context(clocks_of(inner))
        yield
