"""Know which nodes are lost, for who follows a job: Swarm moves a service from a node that is down, and no job."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from roas.concurrency import leave_if_interrupted, pause
from roas.engine.swarm.calls import SwarmCalls
from roas.engine.swarm.judgement import Judgement, UpdateVerdict, Written, judge_update
from roas.engine.swarm.tasks import DOWN, UNPLACED, hostname, read_tasks
from roas.engine.swarm.writer import SwarmWriter
from roas.errors import EngineUnavailableError
from roas.models.environment import Environment

Json = dict[str, Any]
# How often the nodes are asked about: Swarm itself takes some fifteen seconds to know that one is down.
LOOK_SECONDS = 3.0
# How long one is down before it counts as lost: an engine that is restarted is back sooner.
LOST_SECONDS = 15.0
POLL_SECONDS = 0.25
# How long the managers may be without a leader; an election takes ten to twenty seconds, a read waits for it.
LEADER_SECONDS = 90.0
# How long nothing may be on its way while Swarm says that it updates, beyond its monitor and its delay.
STALLED_SECONDS = 15.0
NANOSECONDS = 10**9
# Swarm does these when a task has failed.
FOR_A_FAILURE = frozenset({UpdateVerdict.PAUSED, UpdateVerdict.ROLLED_BACK, UpdateVerdict.ROLLBACK_PAUSED})


class LostNodes:
    """Look at the nodes now and then, and know for how long each has been down."""

    def __init__(self, ask: Callable[[], Awaitable[Iterable[Json]]]) -> None:
        self._ask = ask
        self._next_look = time.monotonic() + LOOK_SECONDS
        self._down: dict[str, tuple[str, float]] = {}

    async def find(self) -> Mapping[str, str]:
        """Return the names of the lost nodes by id. Raises EngineUnavailableError."""
        now = time.monotonic()
        if self._next_look <= now:
            self._next_look = now + LOOK_SECONDS
            nodes = await self._ask()
            down = {str(one["ID"]): hostname(one) for one in nodes if (one.get("Status") or {}).get("State") in DOWN}
            self._down = {key: self._down.get(key, (name, now)) for key, name in down.items()}
        return {key: name for key, (name, since) in self._down.items() if now - since > LOST_SECONDS}


Noted = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Look:
    """Hold the services and tasks of a stack at one moment; the networks are names by id."""

    services: tuple[Json, ...]
    tasks: tuple[Json, ...]
    networks: Mapping[str, str]


class SharedLooks:
    """Look at stacks again and again, for all who wait for the next look at the same one."""

    def __init__(self, writer: SwarmWriter) -> None:
        self._writer = writer
        self._waiting: dict[str, list[asyncio.Future[Look]]] = {}
        self._looking: dict[str, asyncio.Task[None]] = {}

    async def next(self, environment: Environment) -> Look:
        """Return the next look, which begins in a moment. Raises EngineUnavailableError."""
        stack = environment.project
        found: asyncio.Future[Look] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(stack, []).append(found)
        if stack not in self._looking:
            self._looking[stack] = asyncio.create_task(self._look_on(environment), name=f"looks at {stack}")
        return await found

    async def nodes(self, environment: Environment) -> Sequence[Json]:
        """Return the nodes of the Swarm. Raises EngineUnavailableError."""
        return await self._writer.ask(environment, lambda calls: calls.nodes())

    async def _look_on(self, environment: Environment) -> None:
        """Look for as long as somebody waits."""
        stack = environment.project
        try:
            while any(not one.done() for one in self._waiting[stack]):
                await pause(POLL_SECONDS)
                waiting = self._waiting.pop(stack)  # who comes from now on waits for the next one
                self._waiting[stack] = []
                await self._look_for(environment, waiting)
        finally:
            del self._looking[stack]
            for one in self._waiting.pop(stack):
                one.cancel()  # nobody looks any more: the bot ends

    async def _look_for(self, environment: Environment, waiting: list[asyncio.Future[Look]]) -> None:
        try:
            look = await self._writer.ask(environment, lambda calls: _look(calls, environment.project))
        except Exception as error:  # theirs, who wait for the look
            for one in waiting:
                if not one.done():
                    one.set_exception(error)
        else:
            for one in waiting:
                if not one.done():
                    one.set_result(look)
        finally:
            for one in waiting:
                one.cancel()


class Waits:
    """Know for how long each task has been in its state: by our clock, since those of the managers may differ."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str], float] = {}

    def seen(self, tasks: Iterable[Json], now: float) -> Mapping[str, float]:
        """Return the seconds of each task, by its id."""
        found = {}
        for task in tasks:
            key = str(task["ID"]), _stage(str((task.get("Status") or {}).get("State") or "new"))
            found[key[0]] = now - self._since.setdefault(key, now)
        return found


def _stage(state: str) -> str:
    """Return a state, or what those have in common that wait for a node."""
    return "unplaced" if state in UNPLACED else state


def _monitor_seconds(service: Json | None) -> float:
    """Return for how long Swarm watches a task that runs, before it goes on."""
    update = ((service or {}).get("Spec") or {}).get("UpdateConfig") or {}
    return float((update.get("Monitor") or 0) + (update.get("Delay") or 0)) / NANOSECONDS


def _tolerates_failures(service: Json) -> bool:
    update = (service.get("Spec") or {}).get("UpdateConfig") or {}
    return bool(update.get("MaxFailureRatio")) or update.get("FailureAction") == "continue"


class _Followed:
    """Judge one write look by look, and know how long what could be seen of it took.

    How long something takes is counted anew when a leader is back: without one, nothing could go on.
    """

    def __init__(self, looks: SharedLooks, environment: Environment, written: Written) -> None:
        self._looks = looks
        self._environment = environment
        self._written = written
        self._began = time.monotonic()
        self._away_since: float | None = None
        self._asked_why = False
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._waits = Waits()
        self._ran: set[str] = set()
        self._stalled_since: float | None = None
        self._lost_nodes = LostNodes(lambda: self._looks.nodes(self._environment))

    async def judge_next(self) -> Judgement | None:
        """Judge by the next look; None where there is no leader just now, or it does not say why yet.

        Raises EngineUnavailableError in the end.
        """
        try:
            look = await self._looks.next(self._environment)
            service = next((one for one in look.services if one["ID"] == self._written.service_id), None)
            lost = await self._lost_nodes.find() if _is_job(service) else {}
        except EngineUnavailableError:
            self._begin_anew()  # what could not be seen to go on, or could not, has not taken too long
            self._away_since = self._away_since or time.monotonic()
            if time.monotonic() - self._away_since > LEADER_SECONDS:
                raise
            return None
        now = time.monotonic()
        if self._away_since is not None:
            self._began += now - self._away_since
            self._away_since = None
        tasks = tuple(one for one in look.tasks if one["ServiceID"] == self._written.service_id)
        waited, seconds = self._waits.seen(tasks, now), now - self._began
        judged = judge_update(
            self._written, service, tasks, look.networks, seconds=seconds, waits=waited, lost_nodes=lost
        )
        if judged.verdict in FOR_A_FAILURE and judged.task_id is None and not self._asked_why:
            self._asked_why = True  # a look's tasks are older than its services: the next one has the task that failed
            return None
        judged = self._unless_it_died(judged, service, look)
        if judged.verdict is not UpdateVerdict.UNDER_WAY:
            return judged
        if _is_job(service):
            leave_if_interrupted()  # Swarm updates nothing here, and a job may hang for ever
        return self._unless_stalled(judged, service, now)

    def _unless_it_died(self, judged: Judgement, service: Json | None, look: Look) -> Judgement:
        """Return the failure of a task that ran, and ended before all were done: Swarm looks for its monitor only.

        What never ran is Swarm's to try again, and so is what was lost with its node or with the managers; and a
        service whose `max_failure_ratio` lets some fail.
        """
        if service is None or _is_job(service) or _tolerates_failures(service):
            return judged
        own = [
            one for one in read_tasks(service, look.tasks, look.networks) if one.id not in self._written.tasks_before
        ]
        self._ran.update(one.id for one in own if one.state == "running" and one.spec_hash == self._written.spec_hash)
        died = next((one for one in own if one.id in self._ran and one.ended_badly and not one.is_orphaned), None)
        if judged.verdict is not UpdateVerdict.DONE or died is None:
            return judged
        return Judgement(UpdateVerdict.FAILED, died.reason, died.id)

    def _unless_stalled(self, judged: Judgement, service: Json | None, now: float) -> Judgement:
        """Return what a write comes to whose update Swarm does not go on with for too long, or what is known of it."""
        self._stalled_since = None if judged.stalled is None else self._stalled_since or now
        if judged.stalled is None or self._stalled_since is None:
            return judged
        limit = STALLED_SECONDS + _monitor_seconds(service)
        return judged.stalled if now - self._stalled_since > limit else judged


async def follow_update(
    looks: SharedLooks, environment: Environment, written: Written, noted: Noted | None = None
) -> Judgement:
    """Return what became of a write once that is certain; `noted` is told what it waits for, when that changes.

    Whoever cancels need not wait for the end of a job. Raises EngineUnavailableError where there is no leader for too
    long.
    """
    followed, last = _Followed(looks, environment, written), ""
    while True:
        judged = await followed.judge_next()
        if judged is not None and judged.verdict is not UpdateVerdict.UNDER_WAY:
            return judged
        if noted is not None and judged is not None and judged.reason != last:
            last = judged.reason
            await noted(last)


def _is_job(service: Json | None) -> bool:
    return service is not None and "ReplicatedJob" in service["Spec"]["Mode"]


def _look(calls: SwarmCalls, project: str) -> Look:
    """Read the services after their tasks: what they say of their updates is not older."""
    tasks, services = tuple(calls.tasks_of_stack(project)), tuple(calls.services(project))
    return Look(services, tasks, calls.network_names(services))
