"""Do the same again and again, each time after a rest, in a task that has an owner."""

import asyncio
from collections.abc import Awaitable, Callable

from roas.concurrency import end_tasks, wait_for
from roas.errors import RoasError
from roas.log import get_logger

log = get_logger(__name__)

# Does one round; returns for how many seconds to rest, or None for as long as always.
Round = Callable[[], Awaitable[float | None]]


class Rounds:
    """Make rounds from `start` to `stop`. One that fails is logged, and the next one comes all the same.

    Each is followed by a rest of some seconds, which `wake` ends.
    """

    def __init__(self, name: str, make: Round, rest_seconds: float) -> None:
        self._name = name
        self._make = make
        self._rest_seconds = rest_seconds
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        """Return whether rounds are made."""
        return self._task is not None

    def start(self) -> None:
        """Begin with a round at once, unless rounds are made already."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        """End the round that is under way, and wait for its end."""
        task, self._task = self._task, None
        if task is not None:
            await end_tasks(task)

    def wake(self) -> None:
        """End the rest: there is something new. While a round is under way, another one follows at once."""
        self._news.set()

    async def _run(self) -> None:
        while True:
            self._news.clear()
            seconds = await best_effort(self._name, self._make())
            await wait_for(self._news, self._rest_seconds if seconds is None else seconds)


async def best_effort(name: str, work: Awaitable[float | None]) -> float | None:
    """Do work that must not end what comes after it: a failure is logged, and counts as None."""
    try:
        return await work
    except RoasError as error:
        log.error("round failed", round=name, error=error.message, hint=error.hint)
    except Exception:  # the rounds must continue
        log.exception("round broke", round=name)
    return None
