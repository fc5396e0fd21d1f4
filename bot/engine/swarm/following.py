"""Follow a write to its end: ask the manager again and again, since it announces nothing of a task."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from docker.errors import NotFound

from roas.concurrency import pause
from roas.engine.swarm.calls import SwarmCalls
from roas.engine.swarm.judgement import Judgement, UpdateVerdict, Written, judge_update
from roas.engine.swarm.writer import SwarmWriter
from roas.errors import EngineUnavailableError
from roas.models.environment import Environment

Json = dict[str, Any]
POLL_SECONDS = 0.25
# How long the managers may be without a leader; an election takes ten to twenty seconds, a read waits for it.
LEADER_SECONDS = 90.0
Noted = Callable[[str], Awaitable[None]]


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
        judged = judge_update(written, service, tasks, networks, seconds=time.monotonic() - began)
        if judged.verdict is not UpdateVerdict.UNDER_WAY:
            return judged
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
