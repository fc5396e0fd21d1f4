"""Commit the writes that wait at the same moment together: the disk is waited for once, not once for each."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from roas.dataclass import dataclass

# A commit of more would keep readers waiting; far more than that never waits in practice.
MOST_WRITES = 64


@dataclass(slots=True)
class QueuedWrite:
    """Hold a write until it is committed; `done` gets what it returned, or the exception that it raised."""

    work: Any
    done: asyncio.Future[Any]


# Commit a batch and return what each write returned or raised, in the same order. It raises nothing.
CommitBatch = Callable[[list[Any]], Awaitable[list[Any]]]


class GroupCommit:
    """Pass writes to a commit in the order in which they came; those that come during one share the next."""

    def __init__(self, commit: CommitBatch) -> None:
        self._commit = commit
        self._waiting: list[QueuedWrite] = []
        self._committing: asyncio.Task[None] | None = None

    async def submit(self, work: Any) -> Any:
        """Return what a write returned once it is committed; raises what it raised."""
        queued = QueuedWrite(work, asyncio.get_running_loop().create_future())
        self._waiting.append(queued)
        if self._committing is None or self._committing.done():
            self._committing = asyncio.create_task(self._commit_all(), name="journal commits")
        return await queued.done

    async def _commit_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST_WRITES], self._waiting[MOST_WRITES:]
            try:
                outcomes = await self._commit([one.work for one in batch])
            except BaseException:
                for one in (*batch, *self._waiting):
                    one.done.cancel()
                raise
            for one, outcome in zip(batch, outcomes, strict=True):
                _settle(one.done, outcome)


def _settle(done: asyncio.Future[Any], outcome: Any) -> None:
    if done.done():
        return
    if isinstance(outcome, BaseException):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)
