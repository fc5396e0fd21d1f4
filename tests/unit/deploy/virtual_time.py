"""A loop whose time passes in no time, and in which some of the tasks can be stopped as SIGSTOP and SIGKILL do.

Whoever waits is woken at once, the clock being put forward; what would be done in a thread is done in its turn. So a
run is the same each time. Every callback belongs to the life (`LIFE`) in whose context it was scheduled: while that is
stopped, it runs nothing at all, no `finally` and no `except` either.
"""

import asyncio
import selectors
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

DISK_SECONDS = 0.002
MOST_AT_ONE_MOMENT = 100_000
MOST_TASKS = 1000


@dataclass(eq=False)
class Life:
    """Be a process as the kernel sees it: it runs, or it is stopped, for a time or for ever."""

    stopped: bool = False
    waiting: list["_Call"] = field(default_factory=list)

    def stop(self) -> None:
        self.stopped = True

    def go_on(self) -> None:
        self.stopped = False
        waiting, self.waiting = self.waiting, []
        for call in waiting:
            call.handle = asyncio.get_running_loop().call_soon(call, context=call.context)


LIFE: ContextVar[Life | None] = ContextVar("life", default=None)


@dataclass(eq=False)
class _Call:
    callback: Callable[..., object]
    arguments: tuple[Any, ...]
    context: Context
    handle: asyncio.Handle | None = None

    def __call__(self) -> None:
        if self.handle is not None and self.handle.cancelled():
            return
        life = LIFE.get()
        if life is not None and life.stopped:
            life.waiting.append(self)
        else:
            self.callback(*self.arguments)


def _call(callback: Callable[..., object], arguments: tuple[Any, ...], context: Context | None) -> _Call:
    return _Call(callback, arguments, copy_context() if context is None else context)


class _Skipping(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.at_this_moment = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everybody waits, and nothing will ever happen")
        if timeout > 0:
            self.now += timeout
            self.at_this_moment = 0
        self.at_this_moment += 1
        if self.at_this_moment > MOST_AT_ONE_MOMENT:
            raise RuntimeError("somebody turns in circles")
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Skip all waiting."""

    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)
        self.set_exception_handler(lambda loop, context: None)  # of the dead nobody reads the last exception
        self._tasks: list[asyncio.Task[Any]] = []

    def time(self) -> float:
        return self._skipping.now

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        call = (
            callback
            if isinstance(callback, _Call)
            else _Call(callback, args, copy_context() if context is None else context)
        )
        call.handle = super().call_soon(call, context=call.context)
        return call.handle

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        call = _call(callback, args, context)
        call.handle = super().call_at(when, call, context=call.context)
        return call.handle

    def create_task(self, coro: Any, **options: Any) -> "asyncio.Task[Any]":
        """Hold on to every task: what is collected as garbage would run its `finally`, dead or not."""
        if len(self._tasks) > MOST_TASKS:
            self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(super().create_task(coro, **options))
        return self._tasks[-1]

    def run_in_executor(self, executor: object, func: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":
        future = self.create_future()

        def run() -> None:
            if future.cancelled():
                return
            try:
                future.set_result(func(*args))
            except Exception as error:
                future.set_exception(error)

        self.call_later(DISK_SECONDS, run)
        return future


class _Clock:
    """Stand in for the module `time`."""

    CLOCK_BOOTTIME = time.CLOCK_BOOTTIME

    def __init__(self, loop: VirtualLoop) -> None:
        self.monotonic = loop.time

    def clock_gettime(self, clock: int) -> float:
        return self.monotonic()

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


@contextmanager
def clocks_of(loop: VirtualLoop) -> Iterator[None]:
    """Let every module of the bot read the loop's time from its monotonic clocks."""
    with ExitStack() as stack:
        for name, module in list(sys.modules.items()):
            if name.startswith("roas.") and getattr(module, "time", None) is time:
                stack.enter_context(mock.patch.object(module, "time", _Clock(loop)))
        yield
