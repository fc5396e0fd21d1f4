"""Queue new messages: of those that wait, the one that was decided first is posted next."""

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

from roas.concurrency import wait_for


@dataclass(slots=True)
class _Waiting:
    """Hold the place of one notifier; two of the same moment go in the order in which they came."""

    decided_at: datetime
    number: int
    sender: str = field(compare=False)
    wake: Callable[[], None] = field(compare=False)
    future: asyncio.Future[None] = field(compare=False)

    def __lt__(self, other: "_Waiting") -> bool:
        return (self.decided_at, self.number) < (other.decided_at, other.number)


class PostQueue:
    """Let one notifier at a time post something new."""

    def __init__(self) -> None:
        self._holder = ""
        self._wake_holder: Callable[[], None] = lambda: None
        self._waiting: list[_Waiting] = []
        self._numbers = count()
        self._asked: set[str] | None = None  # set only during `wait_for_all`
        self._asked_one = asyncio.Event()

    async def acquire(self, sender: str, decided_at: datetime, wake: Callable[[], None]) -> None:
        """Wait for the head of the queue; the one that has it is woken, so that it tries at once.

        The head keeps it for its next message, unless another one waits with an older message.
        """
        self._note_asked(sender)
        if self._holder == sender and not self._has_older_request(decided_at):
            return
        if not self._holder:
            self._holder, self._wake_holder = sender, wake
            return
        self.release(sender)
        self._wake_holder()
        waiting = _Waiting(decided_at, next(self._numbers), sender, wake, asyncio.get_running_loop().create_future())
        heapq.heappush(self._waiting, waiting)
        await waiting.future

    def release(self, sender: str) -> None:
        """Let the next one post; without being at the head, this only answers `wait_for_all`."""
        self._note_asked(sender)
        if self._holder != sender:
            return
        self._holder, self._wake_holder = "", lambda: None
        self._forget_cancelled()
        if self._waiting:
            first = heapq.heappop(self._waiting)
            self._holder, self._wake_holder = first.sender, first.wake
            first.future.set_result(None)

    @asynccontextmanager
    async def hold(self, holder: str) -> AsyncIterator[None]:
        """Keep the head of the queue free within, so that `wait_for_all` can collect those that must go in order."""
        await self.acquire(holder, datetime.min.replace(tzinfo=UTC), lambda: None)
        try:
            self._asked = set()
            yield
        finally:
            self._asked = None
            self.release(holder)

    async def wait_for_all(self, senders: Iterable[str], within_seconds: float) -> None:
        """Wait, with the queue held, until each of these is queued, or has nothing to post."""
        missing = set(senders)
        deadline = asyncio.get_running_loop().time() + within_seconds
        while self._asked is not None and not missing <= self._asked:
            self._asked_one.clear()
            if not await wait_for(self._asked_one, deadline - asyncio.get_running_loop().time()):
                return

    def _has_older_request(self, decided_at: datetime) -> bool:
        self._forget_cancelled()
        return bool(self._waiting) and self._waiting[0].decided_at < decided_at

    def _forget_cancelled(self) -> None:
        while self._waiting and self._waiting[0].future.done():
            heapq.heappop(self._waiting)

    def _note_asked(self, sender: str) -> None:
        if self._asked is not None:
            self._asked.add(sender)
            self._asked_one.set()
