"""Suggest values while people type: versions that are known, and what was looked up a moment ago."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from roas.app.application import Application
from roas.cogs.ops_cog import SUGGEST_WITHIN_SECONDS
from roas.concurrency import end_tasks
from roas.errors import RoasError
from roas.log import get_logger
from roas.models.environment import Environment

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
        """Return what was loaded; raises what the load raises, after which the next call loads again."""
        began, task = self._entries.get(key, (0.0, None))
        is_over = task is not None and task.done() and time.monotonic() - began >= self._fresh_seconds
        if task is None or is_over or _has_failed(task):
            task = asyncio.create_task(load())
            task.add_done_callback(_has_failed)  # perhaps nobody waits for it any more
            self._entries.pop(key, None)
            self._entries[key] = (time.monotonic(), task)
            while len(self._entries) > self._most:  # one that a caller waits for still answers that caller
                del self._entries[next(iter(self._entries))]
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End what is under way, and wait for it."""
        await end_tasks(*(task for _began, task in self._entries.values()))


def _has_failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


log = get_logger(__name__)

RELEASES_SHOWN = 50


class KnownVersions:
    """Find versions of an environment, and of the others."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._cache: TtlCache[tuple[str, ...]] = TtlCache()

    async def close(self) -> None:
        """End what is under way."""
        await self._cache.close()

    async def of(self, target: Environment) -> list[str]:
        """Return the versions of images that are here, then those ever deployed there, then elsewhere; newest first."""
        found = list(await self._cache.ask(target.name, lambda: self._local(target)))
        elsewhere = (name for name in self._application.environments if name != target.name)
        for name in (target.name, *elsewhere):
            found += await self._application.state.releases.versions(name, limit=RELEASES_SHOWN)
        return found

    async def _local(self, target: Environment) -> tuple[str, ...]:
        """Return the versions whose images are on the engine; none where it does not answer soon."""
        try:
            async with asyncio.timeout(SUGGEST_WITHIN_SECONDS):
                return await self._application.stacks.of(target).releases.local_versions()
        except (RoasError, TimeoutError) as error:
            log.info("the versions of local images are not known", environment=target.name, error=str(error))
            return ()
