"""Know whether this bot speaks: of two that share one journal, only one may."""

import asyncio


class Voice:
    """Say whether this bot is the active one; the other answers nothing and posts nothing."""

    def __init__(self, *, active: bool = True) -> None:
        self._active = asyncio.Event()
        if active:
            self._active.set()

    @property
    def active(self) -> bool:
        """Tell whether this bot speaks."""
        return self._active.is_set()

    def give(self) -> None:
        """Let this bot speak."""
        self._active.set()

    def take(self) -> None:
        """Silence this bot."""
        self._active.clear()

    async def wait_active(self) -> None:
        """Wait until this bot speaks."""
        await self._active.wait()
