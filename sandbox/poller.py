"""A person who sends the same command repeatedly, and how it was answered."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise

from sandbox.client import SandboxClient
from sandbox.views import Asked

EVERY_SECONDS = 0.1
# Discord shows a failure where nothing was acknowledged by then. What is read in the end may come later.
ACKNOWLEDGE_SECONDS = 3.0
# Waited for a last acknowledgement beyond that, so that a late one is seen to be late and not taken for none.
GRACE_SECONDS = 5.0
# Waited for the answers to what was acknowledged: so long may the bot look at an engine that is slow.
ANSWER_SECONDS = 30.0


@dataclass(frozen=True)
class PollResults:
    """How everything that one person asked was received; all times in seconds of the sandbox's clock."""

    asked: Sequence[Asked]

    @property
    def never(self) -> int:
        """Count what was never answered."""
        return sum(item.answered is None for item in self.asked)

    @property
    def twice(self) -> int:
        """Count what was answered more than once."""
        return sum(item.answers > 1 for item in self.asked)

    @property
    def late(self) -> int:
        """Count what was acknowledged, but only after Discord had told the person that the bot did not respond."""
        waits = [item.acknowledged - item.sent for item in self.asked if item.acknowledged is not None]
        return sum(wait > ACKNOWLEDGE_SECONDS for wait in waits)

    @property
    def refused(self) -> int:
        """Count what two bots wanted to answer, of which Discord let one."""
        return sum(item.refused > 0 for item in self.asked)

    @property
    def waits(self) -> list[float]:
        """Return the duration of each answer, the quickest first."""
        return sorted(item.answered - item.sent for item in self.asked if item.answered is not None)

    @property
    def median(self) -> float:
        """Return the median duration of an answer."""
        return self._percentile(0.5)

    @property
    def p99(self) -> float:
        """Return the 99th percentile of the durations."""
        return self._percentile(0.99)

    @property
    def longest_wait(self) -> float:
        """Return the duration of the slowest answer."""
        return self._percentile(1.0)

    @property
    def longest_gap(self) -> float:
        """Return the longest time between one answer and the next; it cannot be less than from question to question."""
        times = sorted(item.answered for item in self.asked if item.answered is not None)
        return max((later - earlier for earlier, later in pairwise(times)), default=0.0)

    @property
    def unresponsive(self) -> float:
        """Return the longest time in which nothing was asked that got an answer: how long nobody listened.

        0 where every question was answered, or else from the last one answered to the next one answered.
        """
        longest, since, unheard = 0.0, self.asked[0].sent if self.asked else 0.0, False
        for item in self.asked:
            if item.answered is None:
                unheard = True
                continue
            longest = max(longest, item.sent - since) if unheard else longest
            since, unheard = item.sent, False
        return max(longest, self.asked[-1].sent - since) if unheard else longest

    def _percentile(self, share: float) -> float:
        waits = self.waits
        return waits[min(len(waits) - 1, int(share * len(waits)))] if waits else 0.0


@dataclass
class Poller:
    """A person who keeps sending a command; `results` is set once they have stopped."""

    people: SandboxClient
    command: str
    every_seconds: float = EVERY_SECONDS
    user: str = field(default_factory=lambda: f"ruth-{secrets.token_hex(3)}")
    results: PollResults = PollResults(())

    async def ask(self) -> None:
        """Ask at fixed times, however long the answers take, until cancelled."""
        due = time.monotonic()
        while True:
            await self.people.slash(self.user, self.command)
            due += self.every_seconds
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def collect(self) -> None:
        """Wait for the last answers."""
        for seconds, only_acknowledged in ((ACKNOWLEDGE_SECONDS + GRACE_SECONDS, False), (ANSWER_SECONDS, True)):
            with suppress(TimeoutError):
                await self.people.wait_until_answered(self.user, seconds, only_acknowledged=only_acknowledged)
        self.results = PollResults(await self.people.asked(self.user))


@asynccontextmanager
async def polling(people: SandboxClient, command: str, every_seconds: float = EVERY_SECONDS) -> AsyncIterator[Poller]:
    """Let a new person send commands all through the block, and return how they were answered.

    Raises ControlError where the command cannot be asked.
    """
    somebody = Poller(people, command, every_seconds)
    await people.add_user(somebody.user)
    task = asyncio.create_task(somebody.ask())
    try:
        yield somebody
    finally:
        task.cancel()
        [ended] = await asyncio.gather(task, return_exceptions=True)
    if isinstance(ended, Exception):
        raise ended
    await somebody.collect()
