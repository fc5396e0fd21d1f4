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
USABLE_SECONDS = 60.0
MOST = 32


class TtlCache(Generic[Value]):
    """Answer from a call that was started a moment ago, by any caller.

    While it is under way, what was loaded before it serves for a while: of a large stack, a call takes a second.
    """

    def __init__(
        self, fresh_seconds: float = FRESH_SECONDS, most: int = MOST, usable_seconds: float = USABLE_SECONDS
    ) -> None:
        self._fresh_seconds = fresh_seconds
        self._usable_seconds = usable_seconds
        self._most = most
        self._calls: dict[Hashable, tuple[float, asyncio.Task[Value]]] = {}
        self._before: dict[Hashable, tuple[float, asyncio.Task[Value]]] = {}

    async def ask(self, key: Hashable, load: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
        """Return what was loaded; raises what the load raises, after which the next call loads again."""
        now = time.monotonic()
        began, task = self._calls.get(key, (0.0, None))
        if task is None or _has_failed(task) or (task.done() and now - began >= self._fresh_seconds):
            if task is not None and not _has_failed(task):
                self._before[key] = (began, task)
            task = self._begin(key, load)
        before = self._before.get(key)
        if not task.done() and before is not None and now - before[0] <= self._usable_seconds:
            return before[1].result()
        return await asyncio.shield(task)

    def _begin(self, key: Hashable, load: Callable[[], Coroutine[Any, Any, Value]]) -> asyncio.Task[Value]:
        """Load, and keep the newest; one that is dropped while a caller waits for it still answers that caller."""
        task = asyncio.create_task(load())
        task.add_done_callback(_has_failed)  # perhaps nobody waits for it any more
        self._calls.pop(key, None)
        self._calls[key] = (time.monotonic(), task)
        while len(self._calls) > self._most:
            dropped = next(iter(self._calls))
            del self._calls[dropped]
            self._before.pop(dropped, None)
        return task

    async def close(self) -> None:
        """End what is under way, and wait for it."""
        await end_tasks(*(task for _began, task in self._calls.values()))


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
                return await self._application.stacks.of(target.by_host[0]).releases.local_versions()
        except (RoasError, TimeoutError) as error:
            log.info("the versions of local images are not known", environment=target.name, error=str(error))
            return ()
