"""Let a deployment go on while what it saw is written; what it is about to do is written before, and so is all of that.

One commit has both then: the intent does not wait for another one.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from roas.concurrency import end_tasks
from roas.models.deployment import ServiceProgress, ServiceStep

# Progress within these (layers of a pull) is written at most so often; every intent to touch what runs always is.
PROGRESSING = frozenset({ServiceStep.PULLING, ServiceStep.BUILDING})
PROGRESS_INTERVAL_SECONDS = 1.0


class Writes:
    """Keep the order in which a deployment writes: what comes first is in the journal first."""

    def __init__(self) -> None:
        self._beside: list[asyncio.Task[None]] = []
        self._written_at: dict[str, float] = {}
        # When the deployment moved last: each step that it takes is written.
        self.moved_at = time.monotonic()

    def are_due(self, old: ServiceProgress, new: ServiceProgress) -> bool:
        """Return whether the progress of a service is to be written: within a step, not each of it is."""
        self.moved_at = now = time.monotonic()
        service = new.service
        is_within = old.step is new.step and new.step in PROGRESSING
        if is_within and now - self._written_at.get(service, 0.0) < PROGRESS_INTERVAL_SECONDS:
            return False
        self._written_at[service] = now
        return True

    async def write(
        self, writing: Coroutine[Any, Any, None], then: Callable[[], None] | None = None, *, may_wait: bool = False
    ) -> None:
        """Wait until this is in the journal, with all that came before; `then` is called once it is.

        What may wait is not waited for here, but by the next that may not. Raises what any of it raises.
        """
        self.moved_at = time.monotonic()
        task = asyncio.create_task(_written(writing, then))
        if may_wait:
            self._beside.append(task)
        else:
            await self._all_written(task)

    async def end(self) -> None:
        """Wait until all is in the journal. Raises what any of it raises."""
        await self._all_written()

    async def abandon(self) -> None:
        """Wait no longer for what is not in the journal yet."""
        await end_tasks(*self._beside)

    async def _all_written(self, *tasks: asyncio.Task[None]) -> None:
        before = tuple(self._beside)
        try:
            await asyncio.gather(*before, *tasks)
        finally:
            self._beside = [one for one in self._beside if one not in before]


async def _written(writing: Coroutine[Any, Any, None], then: Callable[[], None] | None) -> None:
    await writing
    if then is not None:
        then()
