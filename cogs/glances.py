"""Remember for a moment what was looked up, so that one keystroke after the other costs one look."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

Found = TypeVar("Found")

FRESH_SECONDS = 5.0
MOST = 32


class Glances(Generic[Found]):
    """Answer from a look that was begun a moment ago, whoever asked for it and whether it has ended yet or not."""

    def __init__(self, fresh_seconds: float = FRESH_SECONDS, most: int = MOST) -> None:
        self._fresh_seconds = fresh_seconds
        self._most = most
        self._looks: dict[Hashable, tuple[float, asyncio.Task[Found]]] = {}

    async def ask(self, key: Hashable, look: Callable[[], Coroutine[Any, Any, Found]]) -> Found:
        """Return what was found; raises what the look raises, of which the next question begins a new one."""
        begun, task = self._looks.get(key, (float("-inf"), None))
        failed = task is not None and task.done() and (task.cancelled() or task.exception() is not None)
        if task is None or failed or time.monotonic() - begun > self._fresh_seconds:
            task = asyncio.create_task(look())
            self._looks.pop(key, None)
            self._looks[key] = (time.monotonic(), task)
            self._forget()
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End what is under way, and wait for it."""
        tasks = [task for _begun, task in self._looks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self) -> None:
        """Keep the newest; one that is forgotten while somebody waits for it still answers them."""
        while len(self._looks) > self._most:
            del self._looks[next(iter(self._looks))]
