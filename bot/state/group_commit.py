"""Commit the writes that wait at the same moment together: the disk is waited for once, not once for each.

What nobody waits for may wait for the next write.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

# A commit of more would keep readers waiting; far more than that never waits in practice.
MOST_WRITES = 64
# For so long what may wait is held back for another write, with which it shares a commit.
HELD_SECONDS = 0.05


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
        self._is_due = False
        self._held: asyncio.TimerHandle | None = None

    async def submit(self, work: Any, *, may_wait: bool = False) -> Any:
        """Return what a write returned once it is committed; raises what it raised."""
        loop = asyncio.get_running_loop()
        queued = QueuedWrite(work, loop.create_future())
        self._waiting.append(queued)
        if not may_wait:
            self.hold_back_no_longer()
        elif self._held is None:
            self._held = loop.call_later(HELD_SECONDS, self.hold_back_no_longer)
        return await queued.done

    def hold_back_no_longer(self) -> None:
        """Commit all that waits by now."""
        self._is_due = bool(self._waiting)
        if self._is_due and (self._committing is None or self._committing.done()):
            self._committing = asyncio.create_task(self._commit_all(), name="journal commits")

    async def _commit_all(self) -> None:
        while self._is_due:
            batch, self._waiting = self._waiting[:MOST_WRITES], self._waiting[MOST_WRITES:]
            self._is_due = bool(self._waiting)
            if self._held is not None:
                self._held.cancel()
                self._held = None
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
