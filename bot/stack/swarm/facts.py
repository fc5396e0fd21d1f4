"""Read what a manager says of the Swarm, and what an engine is in it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from roas.errors import EngineError, NoQuorumError
from roas.messages.message import said
from roas.models.swarm import SwarmFacts, SwarmNode, TaskTrace
from roas.stack.swarm.calls import MANAGER_HINT, QUORUM_HINT, SwarmCalls, locked
from roas.stack.swarm.snapshots import read_moment
from roas.stack.swarm.tasks import ENDED, hostname

MANAGER, WORKER, LOCKED = "active/manager", "active/worker", "locked"
# It begins, or does not find the others.
STARTING = frozenset({"pending", "error", "active/pending", "active/error"})
NO_IMAGE = "No such image"
# A task that got so far has its image on its node.
HAVE_IMAGE = frozenset({"ready", "starting", "running", "complete"})


def no_manager(state: str, name: str, address: str) -> EngineError:
    """Return the error for an engine of an environment, by what Docker says that it is."""
    if state == LOCKED:
        return locked(address)
    if state in STARTING:
        text = said("The engine of {environment} is not ready in its Swarm.", environment=name)
        return NoQuorumError(text, hint=QUORUM_HINT)
    text = said("The engine of {environment} is no manager of a Swarm.", environment=name)
    if state == WORKER:
        return EngineError(text, hint=MANAGER_HINT)
    return EngineError(text, hint=said("Run `docker swarm init` there, or name a manager by `docker_host`."))


Json = dict[str, Any]


def swarm_facts(calls: SwarmCalls, *, with_traces: bool = False) -> SwarmFacts:
    """Ask a manager about its Swarm, but for which node it is; the traces are of all tasks on it."""
    nodes = tuple(map(swarm_node, calls.nodes()))
    traces = tuple(_traces(calls.tasks())) if with_traces else ()
    return SwarmFacts(calls.cluster_id(), "", nodes, traces)


def swarm_node(found: Mapping[str, Any]) -> SwarmNode:
    """Read a node as a manager shows it."""
    spec, status = found.get("Spec") or {}, found.get("Status") or {}
    about, manager = found.get("Description") or {}, found.get("ManagerStatus") or {}
    engine, platform, resources = (about.get(key) or {} for key in ("Engine", "Platform", "Resources"))
    return SwarmNode(
        id=str(found["ID"]),
        hostname=hostname(found),
        state=str(status.get("State") or "unknown"),
        availability=str(spec.get("Availability") or "active"),
        message=str(status.get("Message") or ""),
        address=str(status.get("Addr") or ""),
        reachability=str(manager.get("Reachability") or "unknown") if manager else "",
        is_leader=bool(manager.get("Leader")),
        engine_version=str(engine.get("EngineVersion") or ""),
        system=str(platform.get("OS") or ""),
        architecture=str(platform.get("Architecture") or ""),
        labels=dict(spec.get("Labels") or {}),
        engine_labels=dict(engine.get("Labels") or {}),
        memory_bytes=int(resources.get("MemoryBytes") or 0),
        nano_cpus=int(resources.get("NanoCPUs") or 0),
    )


def _traces(tasks: Iterable[Json]) -> Iterable[TaskTrace]:
    for task in tasks:
        status = task.get("Status") or {}
        state, node_id = str(status.get("State") or ""), str(task.get("NodeID") or "")
        image = str(((task.get("Spec") or {}).get("ContainerSpec") or {}).get("Image") or "")
        if node_id and image:
            lag = _lag(task, status) if state == "running" and task.get("DesiredState") == "running" else None
            lacks_image = state in ENDED and NO_IMAGE in str(status.get("Err") or "")
            yield TaskTrace(node_id, image, state in HAVE_IMAGE, lacks_image, lag)


def _lag(task: Mapping[str, Any], status: Mapping[str, Any]) -> float | None:
    """Return by how much the managers wrote a task's report down after its node says that it was sent.

    Of a task that runs, the report is the last that was written: little of the time is the way that it took.
    """
    sent, written = (read_moment(str(one or "")) for one in (status.get("Timestamp"), task.get("UpdatedAt")))
    if not isinstance(sent, datetime) or not isinstance(written, datetime):
        return None
    return (written - sent).total_seconds()
