"""Hold whether this process leads, and by which lease: of two that share one journal, only one may."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from roas.concurrency import end_tasks, run_uninterrupted
from roas.models.leader_lease import LeaderLease

Result = TypeVar("Result")


def _always() -> bool:
    return True


class Leadership:
    """Hold whether this process is the leader; a standby answers nothing and posts nothing.

    `lease` is what it holds in the journal, as it was renewed last: from before it leads, until it is seen to be
    another's.
    """

    def __init__(self, *, is_leader: bool = True) -> None:
        self.lease: LeaderLease | None = None
        self._transferred_token = 0
        self._is_leader = asyncio.Event()
        self._since = time.monotonic()
        self._may_lead: Callable[[], bool] = _always
        self._running: set[asyncio.Task[Any]] = set()
        self._listeners: list[Callable[[], None]] = []
        if is_leader:
            self._is_leader.set()

    @property
    def is_leader(self) -> bool:
        """Return whether this bot leads."""
        return self._is_leader.is_set() and self._may_lead()

    @property
    def may_lead(self) -> bool:
        """Return whether this machine's bots may lead at all."""
        return self._may_lead()

    def lead_only_while(self, may_lead: Callable[[], bool]) -> None:
        """Lead only while something says so, too: a process that was stopped for long leads no more when it goes on."""
        self._may_lead = may_lead

    @property
    def leading_seconds(self) -> float:
        """Return for how long this bot has led; 0 on standby."""
        return time.monotonic() - self._since if self.is_leader else 0.0

    def gain(self) -> None:
        """Become the leader and notify the listeners, unless the lease is just being transferred."""
        if self.is_leader or (self.lease is not None and self.is_transferred(self.lease)):
            return
        self._since = time.monotonic()
        self._is_leader.set()
        for listener in tuple(self._listeners):
            listener()

    def lose(self) -> None:
        """Step down, and cancel what only a leader may do."""
        self._is_leader.clear()
        for task in self._running:
            task.cancel()

    async def transfer(self, writing: Coroutine[Any, Any, None]) -> None:
        """Step down, then write that the lease is another's; where that fails, lead on.

        A cancelled caller leaves only when the outcome is known: after half a transfer, no bot would ever lead.
        """
        await run_uninterrupted(self._transfer(writing))

    async def _transfer(self, writing: Coroutine[Any, Any, None]) -> None:
        self._transferred_token = self.lease.token if self.lease is not None else 0
        self.lose()
        try:
            await writing
        except Exception:
            self._transferred_token = 0
            self.gain()
            raise

    def is_transferred(self, lease: LeaderLease) -> bool:
        """Return whether another process owns a lease, or is just getting it: it was renewed a moment before."""
        return lease.token == self._transferred_token

    def on_gained(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call something whenever this bot becomes the leader; returns what ends that."""
        self._listeners.append(listener)

        def forget() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return forget

    async def wait_until_leader(self) -> None:
        """Wait until this bot leads."""
        while not self.is_leader:
            await self._is_leader.wait()

    async def run_while_leader(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Run a leader task: it is cancelled when leadership is lost, and restarted when it is gained."""
        while True:
            await self.wait_until_leader()
            task = asyncio.create_task(work())
            self._running.add(task)
            try:
                await asyncio.wait({task})
            finally:
                self._running.discard(task)
                await end_tasks(task)
            if not task.cancelled():
                return task.result()
