"""Tell of changes of a stack's tasks: Swarm has events of services, but none of tasks, so that they are looked at."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType

from roas.concurrency import pause
from roas.engine.interface import ContainerEvent
from roas.models.health import ENDED, ContainerSnapshot, ContainerState

POLL_SECONDS = 1.0
Look = Callable[[], Awaitable[tuple[ContainerSnapshot, ...]]]


class TaskEvents:
    """Compare one look with the next; entering it looks for the first time."""

    def __init__(self, look: Look, project: str) -> None:
        self._look = look
        self._project = project

    async def __aenter__(self) -> AsyncIterator[ContainerEvent]:
        return self._iterate({one.id: one for one in await self._look()})

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held."""

    async def _iterate(self, before: dict[str, ContainerSnapshot]) -> AsyncIterator[ContainerEvent]:
        while True:
            await pause(POLL_SECONDS)
            there = {one.id: one for one in await self._look()}
            for one in {**before, **there}.values():
                if before.get(one.id) != there.get(one.id):
                    action = _action(there.get(one.id))
                    yield ContainerEvent(action, one.id, one.service, self._project, {}, time.time_ns())
            before = there


def _action(there: ContainerSnapshot | None) -> str:
    if there is None:
        return "destroy"
    if there.state in ENDED:
        return "die"
    return "start" if there.state is ContainerState.RUNNING else "update"
