"""Tell what became of tasks: services and nodes are announced by Swarm, tasks are looked at again and again."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import datetime
from types import TracebackType
from typing import Any

from roas.concurrency import end_tasks, pause, wait_for
from roas.messages.message import said
from roas.models.health import ContainerSnapshot, ContainerState
from roas.stack.containers.docker_events import ACTIONS, EventSubscription
from roas.stack.docker.labels import STACK
from roas.stack.docker.sdk import EngineClient
from roas.stack.interface import ContainerEvent
from roas.stack.swarm.normal_form import stack_name
from roas.stack.swarm.tasks.tasks import (
    ENDED,
    StackReading,
    SwarmTask,
    read_moment,
    read_tasks,
    service_name,
    task_snapshots,
)

WHY, NODE = "why", "node"
SHOWN = 3  # of what Swarm did, the latest
# What another node's task does is seen so late at the latest; Swarm itself needs longer to start another one.
POLL_SECONDS = 2.0
# Events come in bursts, since tasks move together: a reading begins so long after the first one.
GATHER_SECONDS = 0.05


def new_endings(before: StackReading, now: StackReading, project: str, time_ns: int) -> Iterator[ContainerEvent]:
    """Yield an event for each task that has failed since; one that Swarm was told to stop has not.

    A node that is down says nothing any more of its tasks: those that Swarm gave up there count.
    """
    knew = {str(entry["ID"]): entry for entry in before.tasks}
    for service in now.services:
        name = service_name(service["Spec"])
        for task in read_tasks(service, now.tasks, now.networks):
            known = knew.get(task.id)
            had_ended = known is not None and (known.get("Status") or {}).get("State") in ENDED
            node = now.hostnames.get(task.node_id, "")
            why = ""
            if not had_ended and task.state != "shutdown" and task.ended_unexpectedly:
                why = task.reason
            elif known is not None and known.get("DesiredState") == "running" and _is_given_up(task, now):
                why = said("its node is down")
            if why:
                facts = {"exitCode": _code(task), WHY: why, NODE: node}
                yield ContainerEvent("die", task.id, name, project, facts, time_ns)


def _is_given_up(task: SwarmTask, now: StackReading) -> bool:
    return not task.counts and task.state not in ENDED and task.node_id in now.lost


def _code(task: SwarmTask) -> str:
    if task.state == "complete":
        return "0"
    return "" if task.exit_code is None else str(task.exit_code)


def replacements(reading: StackReading, service: str, since: datetime) -> tuple[str, ...]:
    """Say which tasks of a service Swarm has started since then, where, and for which that ended; the latest ones."""
    found: list[str] = []
    for entry in reading.services:
        if service_name(entry["Spec"]) != service:
            continue
        latest: dict[str, SwarmTask] = {}
        for task in read_tasks(entry, reading.tasks, reading.networks):
            before = latest.get(task.place)
            latest[task.place] = task
            created = read_moment(task.created)
            if before is not None and created is not None and created >= since:
                found.append(_replacement(service, before, task, reading))
    return tuple(found[-SHOWN:])


def _replacement(service: str, before: SwarmTask, task: SwarmTask, reading: StackReading) -> str:
    name = f"{service}.{task.place}" if task.place.isdigit() else service
    why = said("its node is down") if _is_given_up(before, reading) else before.reason
    return said(
        "{task} ended on {old} ({why}); Swarm started another on {node}: {state}",
        task=name,
        old=reading.hostnames.get(before.node_id, "-"),
        why=why,
        node=reading.hostnames.get(task.node_id, "-"),
        state=task.state,
    )


ReadStack = Callable[[], Awaitable[StackReading]]
Wakes = AbstractAsyncContextManager[AsyncIterator[ContainerEvent]]


class TaskEvents:
    """Compare one reading with the next; entering it subscribes, and reads for the first time.

    Each `next_reading` may be shared with others that the same event wakes.
    """

    def __init__(
        self,
        wakes: Wakes,
        read: ReadStack,
        project: str,
        *,
        next_reading: ReadStack,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._wakes = wakes
        self._read = read
        self._next_reading = next_reading
        self._project = project
        self._poll_seconds = poll_seconds
        self._moved = asyncio.Event()
        self._open = AsyncExitStack()

    async def __aenter__(self) -> AsyncIterator[ContainerEvent]:
        async with AsyncExitStack() as opening:
            wakes = await opening.enter_async_context(self._wakes)
            reader = asyncio.create_task(self._listen(wakes), name=f"events of the Swarm for {self._project}")
            opening.push_async_callback(end_tasks, reader)
            before = await self._read()
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

    async def _iterate(self, before: StackReading, reader: "asyncio.Task[None]") -> AsyncIterator[ContainerEvent]:
        while True:
            await wait_for(self._moved, self._poll_seconds)
            self._moved.clear()
            if reader.done():
                await reader  # raises what ended it
            await pause(GATHER_SECONDS)
            now = await self._next_reading()
            for event in changes(before, now, self._project, time.time_ns()):
                yield event
            before = now


def changes(before: StackReading, now: StackReading, project: str, time_ns: int) -> Iterator[ContainerEvent]:
    """Yield what happened between two looks: what ended first, then what is there instead.

    A task that Swarm replaced is gone without a word: that its service goes on is what counts.
    """
    yield from new_endings(before, now, project, time_ns)
    old, new = ({container.id: container for container in task_snapshots(reading)} for reading in (before, now))
    left = {container.service for container in new.values()}
    for task_id in {**old, **new}:
        if old.get(task_id) != new.get(task_id):
            known = new.get(task_id) or old[task_id]
            action = _action(new.get(task_id), replaced=known.service in left)
            yield ContainerEvent(action, task_id, known.service, project, {}, time_ns)


def _action(there: ContainerSnapshot | None, *, replaced: bool) -> str:
    if there is None:
        return "replace" if replaced else "destroy"
    return "start" if there.state is ContainerState.RUNNING else "update"


class SwarmSubscription(EventSubscription):
    """Pass on that something of a stack, or a node, has moved; what it was is looked at, since tasks have no events."""

    def _subscribe(self, client: EngineClient) -> Any:
        actions = [*ACTIONS, "remove"]
        return client.events(filters={"type": ["container", "service", "node"], "event": actions}, decode=True)

    def _read(self, raw: dict[str, Any]) -> ContainerEvent | None:
        actor, project = raw.get("Actor") or {}, self._engine.project
        attributes = {str(key): str(value) for key, value in (actor.get("Attributes") or {}).items()}
        kind = str(raw.get("Type", ""))
        is_ours = attributes.get(STACK) == project or attributes.get("name", "").startswith(stack_name(project, ""))
        if kind != "node" and not is_ours:
            return None
        return ContainerEvent(str(raw.get("Action", "")), str(actor.get("ID", "")), "", project, attributes)
