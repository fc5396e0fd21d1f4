"""Follow a write until it is certain what became of it: Swarm moves a service from a node that is lost, and no job."""

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any, Generic, TypeVar

from roas.concurrency import leave_if_interrupted, pause
from roas.errors import EngineUnavailableError
from roas.limits import LOST_NODE_SECONDS, SWARM_LEADER_SECONDS
from roas.stack.swarm.normal_form import is_job
from roas.stack.swarm.tasks.tasks import UNPLACED, StackReading, read_tasks
from roas.stack.swarm.writing.update_verdict import UpdateJudgement, UpdateVerdict, Written, judge_update

Json = dict[str, Any]
Thing = TypeVar("Thing")
# How long nothing may be on its way while Swarm says that it updates, beyond its monitor and its delay.
STALLED_SECONDS = 15.0
# Who follows a write looks again and again.
FOLLOW_SECONDS = 0.25
NANOSECONDS = 10**9
# Swarm does these when a task has failed.
FOR_A_FAILURE = frozenset({UpdateVerdict.PAUSED, UpdateVerdict.ROLLED_BACK, UpdateVerdict.ROLLBACK_PAUSED})


# Look at the stack in a moment, together with all others who follow a write in it. Raises EngineUnavailableError.
NextReading = Callable[[], Awaitable[StackReading]]


class Durations(Generic[Thing]):
    """Know for how long something has been so: by our clock, since those of the managers may differ."""

    def __init__(self) -> None:
        self._since: dict[Thing, float] = {}

    def seen(self, things: Iterable[Thing], now: float) -> dict[Thing, float]:
        """Return the seconds of each thing that is so now, as far as somebody looked."""
        self._since = {thing: self._since.get(thing, now) for thing in things}
        return {thing: now - since for thing, since in self._since.items()}


def _stage(task: Json) -> tuple[str, str]:
    """Return a task's id and its state, or what those have in common that wait for a node."""
    state = str((task.get("Status") or {}).get("State") or "new")
    return str(task["ID"]), "unplaced" if state in UNPLACED else state


def _monitor_seconds(service: Json | None) -> float:
    """Return for how long Swarm watches a task that runs, before it goes on."""
    update = ((service or {}).get("Spec") or {}).get("UpdateConfig") or {}
    return float((update.get("Monitor") or 0) + (update.get("Delay") or 0)) / NANOSECONDS


def _tolerates_failures(service: Json) -> bool:
    update = (service.get("Spec") or {}).get("UpdateConfig") or {}
    return bool(update.get("MaxFailureRatio")) or update.get("FailureAction") == "continue"


class _Followed:
    """Judge one write reading by reading, and know how long what could be seen of it took.

    How long something takes is counted again when a leader is back: without one, nothing could go on.
    """

    def __init__(self, next_reading: NextReading, written: Written) -> None:
        self._next_reading = next_reading
        self._written = written
        self._began = time.monotonic()
        self._away_since: float | None = None
        self._asked_why = False
        self._begin_again()

    def _begin_again(self) -> None:
        self._waits: Durations[tuple[str, str]] = Durations()
        self._ran: set[str] = set()
        self._stalled_since: float | None = None
        self._lost_nodes: Durations[str] = Durations()

    async def judge_next(self) -> UpdateJudgement | None:
        """Judge by the next look; None where there is no leader just now, or it does not say why yet.

        Raises EngineUnavailableError in the end.
        """
        try:
            reading = await self._next_reading()
        except EngineUnavailableError:
            self._begin_again()  # what could not be seen to go on, or could not, has not taken too long
            self._away_since = self._away_since or time.monotonic()
            if time.monotonic() - self._away_since > SWARM_LEADER_SECONDS:
                raise
            return None
        now = time.monotonic()
        service = next((entry for entry in reading.services if entry["ID"] == self._written.service_id), None)
        down = self._lost_nodes.seen(reading.lost, now) if _is_job(service) else {}
        lost = {node: reading.hostnames.get(node, node) for node, long in down.items() if long > LOST_NODE_SECONDS}
        if self._away_since is not None:
            self._began += now - self._away_since
            self._away_since = None
        tasks = tuple(task for task in reading.tasks if task["ServiceID"] == self._written.service_id)
        waits = self._waits.seen(map(_stage, tasks), now)
        judged = judge_update(
            self._written,
            service,
            tasks,
            reading.networks,
            seconds=now - self._began,
            waits={task_id: long for (task_id, _), long in waits.items()},
            lost_nodes=lost,
        )
        if judged.verdict in FOR_A_FAILURE and judged.task_id is None and not self._asked_why:
            self._asked_why = True  # a look's tasks are older than its services: the next one has the task that failed
            return None
        judged = self._unless_it_died(judged, service, reading)
        if judged.verdict is not UpdateVerdict.UNDER_WAY:
            return judged
        if _is_job(service):
            leave_if_interrupted()  # Swarm updates nothing here, and a job may hang for ever
        return self._unless_stalled(judged, service, now)

    def _unless_it_died(self, judged: UpdateJudgement, service: Json | None, reading: StackReading) -> UpdateJudgement:
        """Return the failure of a task that ran, and ended before all were done: Swarm looks for its monitor only.

        What never ran is Swarm's to try again, and so is what was lost with its node or with the managers; and a
        service whose `max_failure_ratio` lets some fail.
        """
        if service is None or _is_job(service) or _tolerates_failures(service):
            return judged
        own = [
            task
            for task in read_tasks(service, reading.tasks, reading.networks)
            if task.id not in self._written.tasks_before
        ]
        self._ran.update(
            task.id for task in own if task.state == "running" and task.spec_hash == self._written.spec_hash
        )
        died = next(
            (task for task in own if task.id in self._ran and task.ended_unexpectedly and not task.is_orphaned), None
        )
        if judged.verdict is not UpdateVerdict.DONE or died is None:
            return judged
        return UpdateJudgement(UpdateVerdict.FAILED, died.reason, died.id)

    def _unless_stalled(self, judged: UpdateJudgement, service: Json | None, now: float) -> UpdateJudgement:
        """Return what a write comes to whose update Swarm does not go on with for too long, or what is known of it."""
        self._stalled_since = None if judged.stalled is None else self._stalled_since or now
        if judged.stalled is None or self._stalled_since is None:
            return judged
        limit = STALLED_SECONDS + _monitor_seconds(service)
        return judged.stalled if now - self._stalled_since > limit else judged


async def follow_update(next_reading: NextReading, written: Written) -> UpdateJudgement:
    """Return what became of a write once that is certain.

    Whoever cancels need not wait for the end of a job. Raises EngineUnavailableError where there is no leader for too
    long.
    """
    followed = _Followed(next_reading, written)
    while True:
        await pause(FOLLOW_SECONDS)
        judged = await followed.judge_next()
        if judged is not None and judged.verdict is not UpdateVerdict.UNDER_WAY:
            return judged


async def follow_until_ended(
    next_reading: NextReading, written: Written, end_update: Callable[[Written], Awaitable[None]]
) -> UpdateJudgement:
    """Return what became of a write once Swarm has ended its update, too; `end_update` ends one that waits for ever.

    Before that nothing is done, since Swarm may still go back by itself. Raises as `follow_update` does.
    """
    judged = await follow_update(next_reading, written)
    if judged.is_open:
        await end_update(written)
        judged = await follow_update(next_reading, written)
    return replace(judged, verdict=UpdateVerdict.NEVER_STARTED) if judged.is_open else judged


def _is_job(service: Json | None) -> bool:
    return service is not None and is_job(service["Spec"])
