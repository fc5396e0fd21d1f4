"""Take the hands of a healing off an environment that a deployment begins to change."""

import asyncio
from collections import defaultdict
from collections.abc import Coroutine
from typing import Any

from bot.models.environment import Environment


class Hands:
    """Know which attempts are at work on which environment.

    A deployment has its lock in the journal before it asks for the hands to be taken off, and an attempt is known here
    before it looks for a lock: so one of the two sees the other.
    """

    def __init__(self) -> None:
        self._at_work: dict[str, set[asyncio.Task[Any]]] = defaultdict(set)

    async def work(self, environment: Environment, attempt: Coroutine[Any, Any, str | None]) -> tuple[bool, str | None]:
        """Make an attempt; returns whether it came to its end, and what it returned."""
        task = asyncio.create_task(attempt, name=f"hands on {environment.name}")
        self._at_work[environment.name].add(task)
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._at_work[environment.name].discard(task)
        return (False, None) if task.cancelled() else (True, task.result())

    async def take_off(self, environment: Environment) -> None:
        """End every attempt at its next safe point, and wait for that."""
        tasks = tuple(self._at_work[environment.name])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
