"""Follow a write to its end: ask the manager again and again, since it announces nothing of a task."""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from docker.errors import NotFound

from roas.concurrency import pause
from roas.engine.swarm.calls import SwarmCalls
from roas.engine.swarm.judgement import Judgement, UpdateVerdict, Written, judge_update
from roas.engine.swarm.tasks import UNPLACED
from roas.engine.swarm.writer import SwarmWriter
from roas.errors import EngineUnavailableError
from roas.models.environment import Environment

Json = dict[str, Any]
POLL_SECONDS = 0.25
# How long the managers may be without a leader; an election takes ten to twenty seconds, a read waits for it.
LEADER_SECONDS = 90.0
# How long nothing may be on its way while Swarm says that it updates, beyond its monitor and its delay.
STALLED_SECONDS = 15.0
NANOSECONDS = 10**9
Noted = Callable[[str], Awaitable[None]]


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


async def follow_update(
    writer: SwarmWriter, environment: Environment, written: Written, noted: Noted | None = None
) -> Judgement:
    """Return what became of a write once that is certain; `noted` is told what it waits for, when that changes.

    Raises EngineUnavailableError where there is no leader for too long.
    """
    began = time.monotonic()
    away_since: float | None = None
    networks: dict[str, str] = {}
    last = ""
    waits, stalled_since = Waits(), None
    while True:
        try:
            if not networks:
                networks = await writer.ask(environment, lambda calls: calls.network_names())
            service, tasks = await writer.ask(environment, lambda calls: _look(calls, written))
            away_since = None
        except EngineUnavailableError:
            away_since = away_since or time.monotonic()
            if time.monotonic() - away_since > LEADER_SECONDS:
                raise
            await pause(POLL_SECONDS)
            continue
        now = time.monotonic()
        judged = judge_update(written, service, tasks, networks, seconds=now - began, waits=waits.seen(tasks, now))
        if judged.verdict is not UpdateVerdict.UNDER_WAY:
            return judged
        stalled_since = None if judged.stalled is None else stalled_since or now
        limit = STALLED_SECONDS + _monitor_seconds(service)
        if judged.stalled is not None and stalled_since is not None and now - stalled_since > limit:
            return judged.stalled
        if noted is not None and judged.reason != last:
            last = judged.reason
            await noted(last)
        await pause(POLL_SECONDS)


def _look(calls: SwarmCalls, written: Written) -> tuple[Json | None, tuple[Json, ...]]:
    """Read the service last: what it says of its update is not older than its tasks."""
    try:
        tasks = tuple(calls.tasks(service=written.service_id))
    except NotFound:  # so does a manager say that there is no such service
        tasks = ()
    return calls.service(written.service_id), tasks
