"""Suggest values while people type: versions that are known, and what was looked up a moment ago."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

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


@dataclass(frozen=True, slots=True)
class _Entry(Generic[Value]):
    """Hold a look-up, when it began, and the one before that answers until it has ended."""

    began: float
    task: asyncio.Task[Value]
    before: Self | None = None

    @property
    def has_failed(self) -> bool:
        return self.task.done() and (self.task.cancelled() or self.task.exception() is not None)

    @property
    def has_answer(self) -> bool:
        return self.task.done() and not self.has_failed


class TtlCache(Generic[Value]):
    """Answer from a call that was started a moment ago, by any caller, whether or not it has ended yet."""

    def __init__(
        self, fresh_seconds: float = FRESH_SECONDS, most: int = MOST, usable_seconds: float = USABLE_SECONDS
    ) -> None:
        self._fresh_seconds = fresh_seconds
        self._usable_seconds = usable_seconds
        self._most = most
        self._entries: dict[Hashable, _Entry[Value]] = {}

    async def ask(self, key: Hashable, load: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
        """Return what was loaded; raises what the load raises, after which the next call loads again."""
        entry = self._entries.get(key)
        if entry is None or (entry.task.done() and (entry.has_failed or self._age(entry) >= self._fresh_seconds)):
            entry = self._begin(key, load, entry)
        before = entry.before
        if not entry.task.done() and before is not None and self._age(before) <= self._usable_seconds:
            return before.task.result()
        return await asyncio.shield(entry.task)

    async def close(self) -> None:
        """End what is under way, and wait for it."""
        await end_tasks(*(entry.task for entry in self._entries.values()))

    def _age(self, entry: _Entry[Value]) -> float:
        return time.monotonic() - entry.began

    def _begin(
        self, key: Hashable, load: Callable[[], Coroutine[Any, Any, Value]], before: _Entry[Value] | None
    ) -> _Entry[Value]:
        answers = before if before is None or before.has_answer else before.before
        known = None if answers is None else _Entry(answers.began, answers.task)
        entry = _Entry(time.monotonic(), asyncio.create_task(load()), known)
        entry.task.add_done_callback(_read)
        self._entries.pop(key, None)
        self._entries[key] = entry
        self._evict()
        return entry

    def _evict(self) -> None:
        """Keep the newest; one that is dropped while a caller waits for it still answers that caller."""
        while len(self._entries) > self._most:
            del self._entries[next(iter(self._entries))]


def _read(task: asyncio.Task[Any]) -> None:
    """Read how a look-up ended that perhaps nobody waits for."""
    if not task.cancelled():
        task.exception()


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
