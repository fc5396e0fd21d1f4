"""See what the tasks of others have reserved of each node: Swarm places a task only where enough is left."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from roas.engine.model.services import services_of
from roas.engine.swarm.service_spec import resources_of
from roas.engine.swarm.tasks import ENDED
from roas.models.swarm import SwarmNode

NOTHING = 1  # of a node that is full; 0 is not known


def reserves(model: Mapping[str, Any]) -> bool:
    """Return whether a service of a model reserves anything."""
    return any(resources_of(fields).get("Reservations") for fields in services_of(model).values())


def with_what_is_left(
    nodes: Iterable[SwarmNode], tasks: Iterable[Mapping[str, Any]], own: Collection[str]
) -> list[SwarmNode]:
    """Return nodes with the memory and CPUs that are left beside the tasks of all services but our `own`, by id."""
    memory: dict[str, int] = {}
    cpus: dict[str, int] = {}
    for task in tasks:
        if str((task.get("Status") or {}).get("State")) in ENDED or str(task.get("ServiceID")) in own:
            continue
        reserved = ((task.get("Spec") or {}).get("Resources") or {}).get("Reservations") or {}
        node = str(task.get("NodeID") or "")
        memory[node] = memory.get(node, 0) + int(reserved.get("MemoryBytes") or 0)
        cpus[node] = cpus.get(node, 0) + int(reserved.get("NanoCPUs") or 0)
    return [
        replace(
            node,
            memory_bytes=_left(node.memory_bytes, memory.get(node.id, 0)),
            nano_cpus=_left(node.nano_cpus, cpus.get(node.id, 0)),
        )
        for node in nodes
    ]


def _left(there: int, taken: int) -> int:
    return max(there - taken, NOTHING) if there else there
