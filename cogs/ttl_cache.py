"""Cache what was looked up for a few seconds, so that a burst of keystrokes costs one look-up."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from roas.concurrency import end_tasks

Value = TypeVar("Value")

FRESH_SECONDS = 5.0
MOST = 32


class TtlCache(Generic[Value]):
    """Answer from a call that was started a moment ago, by any caller, whether or not it has ended yet."""

    def __init__(self, fresh_seconds: float = FRESH_SECONDS, most: int = MOST) -> None:
        self._fresh_seconds = fresh_seconds
        self._most = most
        self._entries: dict[Hashable, tuple[float, asyncio.Task[Value]]] = {}

    async def ask(self, key: Hashable, load: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
        """Return what was loaded; raises what the load raises, after which the next call loads anew."""
        started, task = self._entries.get(key, (float("-inf"), None))
        failed = task is not None and task.done() and (task.cancelled() or task.exception() is not None)
        if task is None or failed or time.monotonic() - started > self._fresh_seconds:
            task = asyncio.create_task(load())
            self._entries.pop(key, None)
            self._entries[key] = (time.monotonic(), task)
            self._evict()
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End what is under way, and wait for it."""
        tasks = [task for _started, task in self._entries.values()]
        await end_tasks(*tasks)

    def _evict(self) -> None:
        """Keep the newest; one that is dropped while a caller waits for it still answers that caller."""
        while len(self._entries) > self._most:
            del self._entries[next(iter(self._entries))]
