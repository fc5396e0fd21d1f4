"""Run coroutines side by side so that none is lost: no orphaned task, no unread exception."""

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable
from typing import Any, TypeVar

import structlog

from bot.errors import RoasError

log = structlog.get_logger(__name__)
Result = TypeVar("Result")


async def together(coroutines: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
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
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    failures = [error for task in tasks if not task.cancelled() and (error := task.exception()) is not None]
    if failures:
        causes = (failure for failure in failures if not isinstance(failure.__cause__, RoasError | TimeoutError))
        raise next(causes, failures[0])
    return [task.result() for task in tasks]


async def to_the_end(work: Awaitable[Result]) -> Result:
    """Await work that must not be left half done: a cancellation is passed on only after its end."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("work that had to be finished before cancelling failed", error=repr(error))
        raise


async def happens(event: asyncio.Event, within_seconds: float) -> bool:
    """Wait for an event, but no longer than that; tells whether it happened.

    Unlike `asyncio.wait_for` on Python 3.11, this never swallows a cancellation that arrives together with the event.
    """
    try:
        async with asyncio.timeout(within_seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
