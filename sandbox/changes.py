"""Waiting for something to happen, by event: the sandbox's one wake-up call."""

from __future__ import annotations

import asyncio


class Changes:
    """A version that grows with every change, and a way to wait for the next one."""

    def __init__(self) -> None:
        self.version = 0
        self.closed = False
        self._next = asyncio.Event()

    def bump(self) -> None:
        """Wake everybody who waits: something that can be seen has changed."""
        self.version += 1
        woken, self._next = self._next, asyncio.Event()
        woken.set()

    def close(self) -> None:
        """Send everybody who waits home: the sandbox ends."""
        self.closed = True
        self.bump()

    async def wait(self, since: int, seconds: float) -> int:
        """Return the version as soon as it is above `since`, or after `seconds` at the latest."""
        if self.version <= since and seconds > 0:
            try:
                async with asyncio.timeout(seconds):
                    while self.version <= since:
                        await self._next.wait()
            except TimeoutError:
                pass
        return self.version
