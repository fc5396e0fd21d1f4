"""Run coroutines side by side so that none is lost: no orphaned task, no unread exception."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Hashable, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from typing import Any, Generic, TypeVar

from roas.errors import RoasError
from roas.log import get_logger
from roas.shortages import find_shortage

log = get_logger(__name__)
Result = TypeVar("Result")
_INTERRUPTED: ContextVar[asyncio.Event | None] = ContextVar("interrupted", default=None)


async def run_concurrently(coroutines: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Run coroutines at the same time and return their results in order.

    At the first failure the others are cancelled and waited for; then that failure is raised. Where one failed only
    because of another, the cause is the one that is raised.
    """
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    if not tasks:
        return []
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        await end_tasks(*tasks)
    failures = [error for task in tasks if not task.cancelled() and (error := task.exception()) is not None]
    if failures:
        causes = (failure for failure in failures if not isinstance(failure.__cause__, RoasError | TimeoutError))
        raise next(causes, failures[0])
    return [task.result() for task in tasks]


async def end_tasks(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks and wait until all have ended; what they raise is read and dropped."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def begun(work: Coroutine[Any, Any, Result]) -> AsyncIterator[asyncio.Task[Result]]:
    """Do work beside the block, which awaits it where it needs it; it is over at the end of the block."""
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        await end_tasks(task)


async def run_uninterrupted(work: Awaitable[Result]) -> Result:
    """Await work that must not be left half done: a cancellation is passed on only after its end.

    What may be left after all, at some points of it, asks there by `leave_if_interrupted`.
    """
    interrupted = asyncio.Event()
    before = _INTERRUPTED.set(interrupted)
    try:
        task = asyncio.ensure_future(work)
    finally:
        _INTERRUPTED.reset(before)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        interrupted.set()
        await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("work that had to be finished before cancelling failed", error=repr(error))
        raise


def start_thread(work: Callable[[], object], name: str) -> None:
    """Do blocking work in a thread of its own, for which the end of the process does not wait. Raises ShortageError."""
    try:
        threading.Thread(target=work, name=name, daemon=True).start()
    except (RuntimeError, MemoryError) as error:
        raise find_shortage(error) or error from error


class _ThreadForEach(Executor):
    """Start a thread for each piece of work, so that work for which there is no thread is refused, and never done."""

    def __init__(self, name: str) -> None:
        self._name = name

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
        """Start a thread for one piece of work, and return its future."""
        done: Future[Any] = Future()
        done.set_running_or_notify_cancel()  # whoever gives it up cannot end it

        def run() -> None:
            try:
                done.set_result(work(*arguments, **options))
            except BaseException as error:
                done.set_exception(error)

        start_thread(run, self._name)
        return done


async def in_daemon_thread(work: Callable[[], Result], name: str) -> Result:
    """Do blocking work that nobody can end in a thread of its own. Raises ShortageError."""
    return await asyncio.get_running_loop().run_in_executor(_ThreadForEach(name), work)


def started_threads(count: int, name: str) -> ThreadPoolExecutor:
    """Return a pool of which all threads run already. Raises ShortageError where they cannot be started.

    A pool that starts a thread when it gets work, and cannot, raises and keeps the work: what was reported as failed is
    done later all the same.
    """
    threads = ThreadPoolExecutor(count, thread_name_prefix=name)
    all_run = threading.Barrier(count + 1)
    try:
        for _ in range(count):
            threads.submit(all_run.wait)
        all_run.wait()
    except RuntimeError as error:
        all_run.abort()
        threads.shutdown(wait=False, cancel_futures=True)
        raise find_shortage(error) or error from error
    return threads


async def in_thread(work: Callable[..., Result], *arguments: object) -> Result:
    """Do blocking work that asks no engine in a thread of its own. Raises ShortageError; then it is not done.

    `asyncio.to_thread` raises then, and does it all the same.
    """
    return await in_daemon_thread(partial(copy_context().run, work, *arguments), "roas")


def leave_if_interrupted() -> None:
    """End here the work that `run_uninterrupted` was to finish, where its caller was cancelled meanwhile."""
    interrupted = _INTERRUPTED.get()
    if interrupted is not None and interrupted.is_set():
        raise asyncio.CancelledError


async def pause(seconds: float) -> None:
    """Wait a moment between two rounds of a polling loop; a cancellation ends it at once."""
    await asyncio.sleep(seconds)


async def wait_for(event: asyncio.Event, within_seconds: float) -> bool:
    """Wait for an event, but no longer than that; returns whether it happened.

    Unlike `asyncio.wait_for` on Python 3.11, this never swallows a cancellation that arrives together with the event.
    """
    try:
        async with asyncio.timeout(within_seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


class SingleFlight(Generic[Result]):
    """Do the same work once for all who ask for it at the same time, so that many who ask cost no more than two.

    Nobody gets the result of work that was begun before they asked: who comes while it is under way waits for the
    next one, together with all others who do.
    """

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[Result]] = {}
        self._next: dict[Hashable, asyncio.Task[Result]] = {}

    async def ask(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Return the result of work that began after this call; raises what the work raises."""
        if key not in self._next and key not in self._running:
            self._running[key] = self._watched(key, work())
            return await asyncio.shield(self._running[key])
        if key not in self._next:
            self._next[key] = self._watched(key, self._after(self._running[key], key, work))
        return await asyncio.shield(self._next[key])

    async def close(self) -> None:
        """End what is under way, and wait for it."""
        tasks = [*self._next.values(), *self._running.values()]
        await end_tasks(*tasks)

    async def _after(
        self, before: asyncio.Task[Result], key: Hashable, work: Callable[[], Coroutine[Any, Any, Result]]
    ) -> Result:
        await asyncio.wait({before})
        self._running[key] = self._next.pop(key)
        return await work()

    def _watched(self, key: Hashable, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Start work whose end is noted, and whose exception is read even where nobody waits for it any more."""

        def ended(task: asyncio.Task[Result]) -> None:
            for tasks in (self._running, self._next):
                if tasks.get(key) is task:
                    del tasks[key]
            if not task.cancelled():
                task.exception()

        task = asyncio.create_task(work)
        task.add_done_callback(ended)
        return task
