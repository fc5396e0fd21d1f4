"""Cancel the recovery attempts on an environment that a deployment begins to change."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from roas.concurrency import end_tasks, pause
from roas.errors import RoasError
from roas.log import get_logger
from roas.models.environment import Environment

log = get_logger(__name__)

# Before a deployment changes anything it checks and prepares, which takes longer.
LOOK_SECONDS = 0.5


class RecoveryAttempts:
    """Register which recovery attempts run on which environment.

    A deployment takes its lock in the journal before it asks recovery to stop, and an attempt is registered here
    before it looks for a lock: so one of the two sees the other. A deployment that another process runs (a command
    line that began when no bot ran) cannot ask: an attempt polls for its lock for as long as it runs.
    """

    def __init__(self) -> None:
        self._running: dict[str, set[asyncio.Task[Any]]] = defaultdict(set)

    async def run(
        self,
        environment: Environment,
        attempt: Coroutine[Any, Any, str | None],
        is_locked: Callable[[], Awaitable[bool]],
    ) -> tuple[bool, str | None]:
        """Run an attempt until its environment is locked; returns whether it finished, and its result."""
        task = asyncio.create_task(attempt, name=f"recovery of {environment.name}")
        self._running[environment.name].add(task)
        looking = asyncio.create_task(self._cancel_when(is_locked, environment))
        try:
            await asyncio.wait({task})
        finally:
            await end_tasks(looking, task)
            self._running[environment.name].discard(task)
        return (False, None) if task.cancelled() else (True, task.result())

    async def cancel(self, environment: Environment) -> None:
        """End every attempt at its next safe point, and wait for that."""
        tasks = tuple(self._running[environment.name])
        await end_tasks(*tasks)

    async def _cancel_when(self, is_locked: Callable[[], Awaitable[bool]], environment: Environment) -> None:
        while True:
            try:
                if await is_locked():
                    break
            except RoasError:  # what cannot be read now is read next time
                pass
            except Exception:  # a watcher that ends here would let recovery act on what a deployment changes
                log.exception("deployment lock could not be checked", environment=environment.name)
            await pause(LOOK_SECONDS)
        await self.cancel(environment)
