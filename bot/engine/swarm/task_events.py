"""Tell of changes of a stack's tasks: Swarm announces none, so they are looked at, at each event of others and slowly.

Events of services and nodes come from the whole Swarm, those of containers from the manager's own node only.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType

from roas.concurrency import end_tasks, wait_for
from roas.engine.interface import ContainerEvent
from roas.engine.swarm.endings import new_endings
from roas.engine.swarm.snapshots import task_snapshots
from roas.engine.swarm.stack_look import StackLook
from roas.models.health import ContainerSnapshot, ContainerState

# What another node's task does is seen so late at the latest; Swarm itself needs longer to start another one.
POLL_SECONDS = 2.0
Look = Callable[[], Awaitable[StackLook]]
Wakes = AbstractAsyncContextManager[AsyncIterator[ContainerEvent]]


class TaskEvents:
    """Compare one look with the next; entering it subscribes, and looks for the first time.

    Each `next_look` may begin a moment later, to be shared with others that the same event wakes.
    """

    def __init__(
        self, wakes: Wakes, look: Look, project: str, *, next_look: Look, poll_seconds: float = POLL_SECONDS
    ) -> None:
        self._wakes = wakes
        self._look = look
        self._next_look = next_look
        self._project = project
        self._poll_seconds = poll_seconds
        self._moved = asyncio.Event()
        self._open = AsyncExitStack()

    async def __aenter__(self) -> AsyncIterator[ContainerEvent]:
        async with AsyncExitStack() as opening:
            wakes = await opening.enter_async_context(self._wakes)
            reader = asyncio.create_task(self._listen(wakes), name=f"events of the Swarm for {self._project}")
            opening.push_async_callback(end_tasks, reader)
            before = await self._look()
            self._open = opening.pop_all()
        return self._iterate(before, reader)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def _listen(self, wakes: AsyncIterator[ContainerEvent]) -> None:
        try:
            async for _ in wakes:
                self._moved.set()
        finally:
            self._moved.set()

    async def _iterate(self, before: StackLook, reader: "asyncio.Task[None]") -> AsyncIterator[ContainerEvent]:
        while True:
            await wait_for(self._moved, self._poll_seconds)
            self._moved.clear()
            if reader.done():
                await reader  # raises what ended it
            now = await self._next_look()
            for event in changes(before, now, self._project, time.time_ns()):
                yield event
            before = now


def changes(before: StackLook, now: StackLook, project: str, time_ns: int) -> Iterator[ContainerEvent]:
    """Yield what happened between two looks: what ended first, then what is there instead.

    A task that Swarm replaced is gone without a word: that its service goes on is what counts.
    """
    yield from new_endings(before, now, project, time_ns)
    old, new = ({one.id: one for one in task_snapshots(look)} for look in (before, now))
    left = {one.service for one in new.values()}
    for task_id in {**old, **new}:
        if old.get(task_id) != new.get(task_id):
            known = new.get(task_id) or old[task_id]
            action = _action(new.get(task_id), replaced=known.service in left)
            yield ContainerEvent(action, task_id, known.service, project, {}, time_ns)


def _action(there: ContainerSnapshot | None, *, replaced: bool) -> str:
    if there is None:
        return "replace" if replaced else "destroy"
    return "start" if there.state is ContainerState.RUNNING else "update"
