"""Ask something once and give every asker the same answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class CachedCall(Generic[Answer]):
    """Call an asynchronous function at the first call only; its answer or its error is kept.

    An asker that gives up while the answer is under way leaves the question to the next one.
    """

    def __init__(self, ask: Callable[[], Awaitable[Answer]]) -> None:
        self._ask = ask
        self._lock = asyncio.Lock()
        self._answers: list[Answer] = []
        self._error: Exception | None = None

    async def __call__(self) -> Answer:
        """Return the answer. Raises what the function raised."""
        async with self._lock:
            if self._error is not None:
                raise self._error
            if not self._answers:
                try:
                    self._answers.append(await self._ask())
                except Exception as error:
                    self._error = error
                    raise
            return self._answers[0]
