"""End the earlier run of a job before it runs anew: Swarm itself begins a run while the one before is being stopped."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from roas.concurrency import leave_if_interrupted, pause
from roas.engine.labels import STACK
from roas.engine.swarm.calls import SwarmCalls
from roas.engine.swarm.container_spec import NANOSECONDS
from roas.engine.swarm.names import SERVICE
from roas.engine.swarm.stack_look import hostname
from roas.engine.swarm.tasks import ENDED
from roas.engine.swarm.writer import Seen, SwarmWriter
from roas.errors import EngineError
from roas.messages.message import said
from roas.models.environment import Environment

Json = dict[str, Any]
POLL_SECONDS = 0.25
# How long a node may take to report that a task has stopped, beyond the task's own `stop_grace_period`.
REPORT_SECONDS = 30.0
GRACE_NANOSECONDS = 10 * NANOSECONDS


async def end_earlier_run(writer: SwarmWriter, environment: Environment, spec: Mapping[str, Any], seen: Seen) -> Seen:
    """Return what is there of a service once no earlier run of its job goes on.

    A run that goes on is ended by removing the job, which is written again right after; so is waited for one whose job
    was removed before. Swarm updates no job, so that this takes no way back: that is the stored release. Raises
    EngineError where a run does not end in time.
    """
    if not any("ReplicatedJob" in one["Mode"] for one in (spec, (seen.service or {}).get("Spec") or spec)):
        return seen
    service = seen.service if _is_ours(seen.service, environment) else None
    running = await writer.ask(environment, lambda calls: _running(calls, environment, spec, service))
    if not running:
        return seen
    if service is not None:
        await writer.ask(environment, lambda calls: calls.remove("services", str(service["ID"])))
    began, limit = time.monotonic(), _grace_seconds(running) + REPORT_SECONDS
    while running:
        if time.monotonic() - began > limit:
            raise await _still_running(writer, environment, spec, running, limit)
        await pause(POLL_SECONDS)
        leave_if_interrupted()
        running = await writer.ask(environment, lambda calls: _running(calls, environment, spec, service))
    return seen if service is None else replace(seen, service=None, tasks=())


def _is_ours(service: Mapping[str, Any] | None, environment: Environment) -> bool:
    labels = {} if service is None else service["Spec"].get("Labels") or {}
    return labels.get(STACK) == environment.project


def _running(
    calls: SwarmCalls, environment: Environment, spec: Mapping[str, Any], service: Mapping[str, Any] | None
) -> tuple[Json, ...]:
    """Return the tasks of a job that have not ended, also of one of that name that was removed."""
    name = str(spec["Labels"].get(SERVICE) or "")
    return tuple(
        one
        for one in calls.tasks_of_stack(environment.project)
        if one.get("JobIteration") is not None
        and (one.get("Status") or {}).get("State") not in ENDED
        and (_service_of(one) == name or (service is not None and one.get("ServiceID") == service["ID"]))
    )


def _service_of(task: Mapping[str, Any]) -> str:
    return str((((task.get("Spec") or {}).get("ContainerSpec") or {}).get("Labels") or {}).get(SERVICE) or "")


def _grace_seconds(tasks: Iterable[Mapping[str, Any]]) -> float:
    specs = ((one.get("Spec") or {}).get("ContainerSpec") or {} for one in tasks)
    return max(float(one.get("StopGracePeriod") or GRACE_NANOSECONDS) for one in specs) / NANOSECONDS


async def _still_running(
    writer: SwarmWriter, environment: Environment, spec: Mapping[str, Any], running: Iterable[Json], limit: float
) -> EngineError:
    nodes = {str(one["ID"]): hostname(one) for one in await writer.ask(environment, lambda calls: calls.nodes())}
    there = sorted({nodes.get(str(one.get("NodeID")), "-") for one in running})
    return EngineError(
        said(
            "{service} does not run anew: its earlier run was stopped, and {nodes} has not said for {seconds} s that "
            "it ended.",
            service=str(spec["Name"]),
            nodes=", ".join(there),
            seconds=round(limit),
        ),
        hint=said("See that it has ended there (`docker ps`), bring the node back or remove it, then deploy again."),
    )
