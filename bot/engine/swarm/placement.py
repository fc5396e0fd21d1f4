"""Find services that no node takes as they are written: Swarm itself accepts them, and waits for a node for ever."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from roas.engine.model.services import replicas_of, services_of
from roas.engine.swarm.constraints import actual_value, label_to_set, satisfies
from roas.engine.swarm.service_spec import resources_of
from roas.messages.message import joined, said
from roas.models.obstacle import Obstacle, ObstacleKind
from roas.models.swarm import SwarmNode

NANO = 10**9
MIB = 2**20
SizeJudge = Callable[[str, Mapping[str, Any], Sequence[SwarmNode]], tuple[str, str] | None]


def find_unplaced(
    model: Mapping[str, Any], nodes: Sequence[SwarmNode], left: Sequence[SwarmNode] | None = None
) -> Iterator[Obstacle]:
    """Yield what keeps each service from every node: constraints, nodes that are away, too few of them, resources.

    What is `left` are the same nodes with what they have beside others' tasks, where that is known.
    """
    for name, fields in sorted(services_of(model).items()):
        found = _unplaced(name, fields, nodes, too_large=_too_large)
        if found is not None:
            yield Obstacle(ObstacleKind.PLACEMENT, *found)
        elif left is not None and (found := _unplaced(name, fields, left, too_large=_too_full)) is not None:
            yield Obstacle(ObstacleKind.PLACEMENT, *found, refuses=False)  # others may make room until then


def ready_nodes(fields: Mapping[str, Any], nodes: Sequence[SwarmNode]) -> list[SwarmNode]:
    """Return the nodes that take a task of a service now."""
    constraints = _constraints(fields)
    return [node for node in nodes if node.takes_tasks and all(satisfies(node, one) for one in constraints)]


def _constraints(fields: Mapping[str, Any]) -> list[str]:
    placement = (fields.get("deploy") or {}).get("placement") or {}
    return [str(one) for one in placement.get("constraints") or ()]


def _unplaced(
    name: str, fields: Mapping[str, Any], nodes: Sequence[SwarmNode], *, too_large: SizeJudge
) -> tuple[str, str] | None:
    constraints = _constraints(fields)
    allowed = [node for node in nodes if all(satisfies(node, one) for one in constraints)]
    ready = ready_nodes(fields, nodes)
    if not allowed:
        return _unmet(name, constraints, nodes)
    if not ready:
        text = said("{service} may run on {nodes} only, which takes no tasks now.", service=name, nodes=_names(allowed))
        return text, said("Bring a node back, or change `deploy.placement.constraints`.")
    return too_large(name, fields, ready) or _too_few(name, fields, ready)


def _unmet(name: str, constraints: Sequence[str], nodes: Sequence[SwarmNode]) -> tuple[str, str]:
    unmet = [one for one in constraints if not any(satisfies(node, one) for node in nodes)] or constraints
    shown = joined(", ", [said("{one} ({there})", one=one, there=_there(one, nodes)) for one in unmet])
    text = said("No node satisfies what {service} asks for: {unmet}.", service=name, unmet=shown)
    if labels := [label for one in unmet if (label := label_to_set(one))]:
        return text, said("Set it on a node: `docker node update --label-add {label} NODE`.", label=labels[0])
    return text, said("Change `deploy.placement.constraints`, or add a node that satisfies them.")


def _there(constraint: str, nodes: Iterable[SwarmNode]) -> str:
    """Say what the nodes have of what a constraint asks for."""
    found = sorted({one for node in nodes if (one := actual_value(node, constraint))})
    return said("the nodes have {values}", values=", ".join(found)) if found else said("no node has that")


def _too_large(name: str, fields: Mapping[str, Any], ready: Sequence[SwarmNode]) -> tuple[str, str] | None:
    """Return which reservation is more than any of the nodes has, whatever else it runs; unknown sizes say nothing."""
    memory, cpus = _reserved(fields)
    if any(_has(node.memory_bytes, memory) and _has(node.nano_cpus, cpus) for node in ready):
        return None
    text = said(
        "{service} reserves {memory} MiB of memory and {cpus} CPUs, which no node has: the largest have {most} MiB and "
        "{most_cpus} CPUs.",
        service=name,
        memory=memory // MIB,
        cpus=f"{cpus / NANO:g}",
        most=max(one.memory_bytes for one in ready) // MIB,
        most_cpus=f"{max(one.nano_cpus for one in ready) / NANO:g}",
    )
    return text, said("Lower `deploy.resources.reservations`, or add a larger node.")


def _too_full(name: str, fields: Mapping[str, Any], ready: Sequence[SwarmNode]) -> tuple[str, str] | None:
    """Return which reservation is more than any of the nodes has left beside what others have reserved there."""
    memory, cpus = _reserved(fields)
    if any(_has(node.memory_bytes, memory) and _has(node.nano_cpus, cpus) for node in ready):
        return None
    left = [f"{one.hostname}: {one.memory_bytes // MIB} MiB, {one.nano_cpus / NANO:.2g}" for one in ready]
    text = said(
        "{service} reserves {memory} MiB of memory and {cpus} CPUs, which no node has left beside other stacks "
        "({left}).",
        service=name,
        memory=memory // MIB,
        cpus=f"{cpus / NANO:g}",
        left="; ".join(left),
    )
    return text, said("Lower `deploy.resources.reservations` of this service or of another stack, or add a node.")


def _reserved(fields: Mapping[str, Any]) -> tuple[int, int]:
    asked = resources_of(fields).get("Reservations") or {}
    return int(asked.get("MemoryBytes") or 0), int(asked.get("NanoCPUs") or 0)


def _has(there: int, asked: int) -> bool:
    return not there or there >= asked


def _too_few(name: str, fields: Mapping[str, Any], ready: Sequence[SwarmNode]) -> tuple[str, str] | None:
    deploy = fields.get("deploy") or {}
    at_most, wanted = int((deploy.get("placement") or {}).get("max_replicas_per_node") or 0), replicas_of(fields)
    if not at_most or deploy.get("mode") == "global" or at_most * len(ready) >= wanted:
        return None
    text = said(
        "{service} wants {wanted} tasks, {at_most} on a node at most; it may run on {nodes}.",
        service=name,
        wanted=wanted,
        at_most=at_most,
        nodes=_names(ready),
    )
    return text, said("Add nodes, or raise `max_replicas_per_node`.")


def _names(nodes: Iterable[SwarmNode]) -> str:
    return ", ".join(node.hostname for node in nodes)
