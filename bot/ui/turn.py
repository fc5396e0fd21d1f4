"""Let new messages be posted one after the other: of those that wait, the one that was decided first."""

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

from bot.concurrency import happens


@dataclass(order=True)
class _Waiting:
    """Hold the place of one teller; two of the same moment go in the order in which they came."""

    decided_at: datetime
    number: int
    teller: str = field(compare=False)
    wake: Callable[[], None] = field(compare=False)
    called: asyncio.Future[None] = field(compare=False)


class Turn:
    """Say whose turn it is to post something new."""

    def __init__(self) -> None:
        self._holder = ""
        self._wake_holder: Callable[[], None] = lambda: None
        self._waiting: list[_Waiting] = []
        self._numbers = count()
        self._heard: set[str] | None = None  # kept only while somebody waits to hear from all
        self._heard_one = asyncio.Event()

    async def take(self, teller: str, decided_at: datetime, wake: Callable[[], None]) -> None:
        """Wait until it is this teller's turn; whoever has it is woken, so that it tries at once.

        Who has it keeps it for its next message, unless somebody waits with an older one.
        """
        self._hear(teller)
        if self._holder == teller and not self._waits_longer_than(decided_at):
            return
        if not self._holder:
            self._holder, self._wake_holder = teller, wake
            return
        self.pass_on(teller)
        self._wake_holder()
        waiting = _Waiting(decided_at, next(self._numbers), teller, wake, asyncio.get_running_loop().create_future())
        heapq.heappush(self._waiting, waiting)
        await waiting.called

    def pass_on(self, teller: str) -> None:
        """Let the next one post; of no effect but to be heard where it is not this teller's turn."""
        self._hear(teller)
        if self._holder != teller:
            return
        self._holder, self._wake_holder = "", lambda: None
        self._forget_cancelled()
        if self._waiting:
            first = heapq.heappop(self._waiting)
            self._holder, self._wake_holder = first.teller, first.wake
            first.called.set_result(None)

    @asynccontextmanager
    async def kept(self, keeper: str) -> AsyncIterator[None]:
        """Give the turn to nobody within, so that `all_asked` can bring those together who are to go in order."""
        await self.take(keeper, datetime.min.replace(tzinfo=UTC), lambda: None)
        try:
            self._heard = set()
            yield
        finally:
            self._heard = None
            self.pass_on(keeper)

    async def all_asked(self, tellers: Iterable[str], within_seconds: float) -> None:
        """Wait, while the turn is kept, until each of these has asked for it, or has nothing to post."""
        missing = set(tellers)
        deadline = asyncio.get_running_loop().time() + within_seconds
        while self._heard is not None and not missing <= self._heard:
            self._heard_one.clear()
            if not await happens(self._heard_one, deadline - asyncio.get_running_loop().time()):
                return

    def _waits_longer_than(self, decided_at: datetime) -> bool:
        self._forget_cancelled()
        return bool(self._waiting) and self._waiting[0].decided_at < decided_at

    def _forget_cancelled(self) -> None:
        while self._waiting and self._waiting[0].called.done():
            heapq.heappop(self._waiting)

    def _hear(self, teller: str) -> None:
        if self._heard is not None:
            self._heard.add(teller)
            self._heard_one.set()
