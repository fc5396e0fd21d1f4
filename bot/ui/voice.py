"""Know whether this bot speaks: of two that share one journal, only one may."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class Voice:
    """Say whether this bot is the active one; the other answers nothing and posts nothing."""

    def __init__(self, *, active: bool = True) -> None:
        self._active = asyncio.Event()
        self._speaking: set[asyncio.Task[Any]] = set()
        self._listeners: list[Callable[[], None]] = []
        if active:
            self._active.set()

    @property
    def active(self) -> bool:
        """Tell whether this bot speaks."""
        return self._active.is_set()

    def give(self) -> None:
        """Let this bot speak."""
        if self.active:
            return
        self._active.set()
        for listener in tuple(self._listeners):
            listener()

    def take(self) -> None:
        """Silence this bot, in the middle of what it was saying."""
        self._active.clear()
        for task in self._speaking:
            task.cancel()

    def when_given(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call something at once whenever this bot may speak; returns what ends that."""
        self._listeners.append(listener)

        def forget() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return forget

    async def wait_active(self) -> None:
        """Wait until this bot speaks."""
        while not self.active:
            await self._active.wait()

    async def while_active(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Do work that speaks: it is cancelled the moment that the voice is taken, and begun anew when it is given."""
        while True:
            await self.wait_active()
            task = asyncio.create_task(work())
            self._speaking.add(task)
            try:
                await asyncio.wait({task})
            finally:
                self._speaking.discard(task)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            if not task.cancelled():
                return task.result()
