"""Find what would stand in the way of a stack on a Swarm: no node that takes a service, names and ports of others."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from roas.messages.message import joined, said
from roas.models.stack import Obstacle, ObstacleKind
from roas.models.swarm import SwarmNode
from roas.stack.labels import STACK
from roas.stack.model.services import replicas_of, services_of
from roas.stack.swarm.calls import SwarmCalls
from roas.stack.swarm.facts import swarm_node
from roas.stack.swarm.names import stack_name
from roas.stack.swarm.service_spec import resources_of
from roas.stack.swarm.tasks import DOOMED, ENDED

CONSTRAINT = re.compile(r"\s*(?P<key>[\w.\-/]+)\s*(?P<operator>==|!=)\s*(?P<value>.*?)\s*")
KEY = re.compile(r"[a-z_][a-z0-9\-_.]+", re.IGNORECASE | re.ASCII)
VALUE = re.compile(r"[a-z0-9:\-_\s.*()?+\[\]\\^$|/]+", re.IGNORECASE | re.ASCII)
NODE_LABELS, ENGINE_LABELS = "node.labels.", "engine.labels."
NOTHING = 1  # of a node that is full; 0 is not known
NANO = 10**9
MIB = 2**20
START_FIRST = "start-first"


def satisfies(node: SwarmNode, constraint: str) -> bool:
    """Return whether a node satisfies a constraint; one that cannot be judged from here counts as satisfied.

    Values are compared without regard to case; a label that is missing is an empty one.
    """
    found = CONSTRAINT.fullmatch(constraint)
    if found is None:
        return True
    actual = _value(node, found["key"])
    if actual is None:
        return True
    return (actual.casefold() == found["value"].casefold()) == (found["operator"] == "==")


def actual_value(node: SwarmNode, constraint: str) -> str:
    """Return what a node has of what a constraint asks for; empty where that is nothing, or not known."""
    found = CONSTRAINT.fullmatch(constraint)
    return "" if found is None else _value(node, found["key"]) or ""


def is_readable(constraint: str) -> bool:
    """Return whether Swarm can read a constraint; it refuses a service that has another one."""
    for operator in ("==", "!="):  # as Swarm itself looks for them
        key, found, value = constraint.partition(operator)
        if found:
            return KEY.fullmatch(key.strip()) is not None and VALUE.fullmatch(value.strip()) is not None
    return False


def label_to_set(constraint: str) -> str:
    """Return `NAME=VALUE` of the node label that would satisfy a constraint; empty where it asks for no such label."""
    found = CONSTRAINT.fullmatch(constraint)
    if found is None or found["operator"] != "==" or not found["key"].lower().startswith(NODE_LABELS):
        return ""
    return f"{found['key'][len(NODE_LABELS) :]}={found['value']}"


def _value(node: SwarmNode, key: str) -> str | None:
    known = {
        "node.id": node.id,
        "node.hostname": node.hostname,
        "node.role": "manager" if node.is_manager else "worker",
        "node.platform.os": node.system,
        "node.platform.arch": node.architecture,
    }
    lowered = key.lower()
    if lowered.startswith(NODE_LABELS):
        return node.labels.get(key[len(NODE_LABELS) :], "")
    if lowered.startswith(ENGINE_LABELS):
        return node.engine_labels.get(key[len(ENGINE_LABELS) :], "")
    return known.get(lowered)


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


Json = dict[str, Any]
Port = tuple[int, str]
INGRESS, HOST = "ingress", "host"


def publishes(model: Mapping[str, Any]) -> bool:
    """Return whether any service publishes a fixed port."""
    return any(_wanted(fields, mode) for fields in services_of(model).values() for mode in (INGRESS, HOST))


def find_held_ports(
    model: Mapping[str, Any],
    project: str,
    nodes: Sequence[SwarmNode],
    services: Iterable[Json],
    tasks: Iterable[Json],
) -> Iterator[Obstacle]:
    """Yield the ports of a model that others hold; `services` and `tasks` are all that a manager shows.

    A port by ingress is one of the whole Swarm. One in `mode: host` is of the node that has the task: each node has it
    once, and Swarm looks for another one.
    """
    others = [one for one in services if (one["Spec"].get("Labels") or {}).get(STACK) != project]
    placed = [one for one in tasks if str(one.get("DesiredState")) not in DOOMED]
    for name, fields in sorted(services_of(model).items()):
        for port in sorted(_wanted(fields, INGRESS) | _wanted(fields, HOST)):
            modes = (INGRESS, HOST) if port in _wanted(fields, INGRESS) else (INGRESS,)
            if holder := next((one for one in others if port in _published(one, *modes)), None):
                yield _held(name, port, str(holder["Spec"]["Name"]))
        for port in sorted(_wanted(fields, HOST)):
            holding = {str(one["ID"]) for one in others if port in _published(one, HOST)}
            busy = {str(one.get("NodeID")) for one in placed if one.get("ServiceID") in holding}
            yield from _judge_nodes(name, fields, port, ready_nodes(fields, nodes), busy)


def _judge_nodes(
    name: str, fields: Mapping[str, Any], port: Port, ready: Sequence[SwarmNode], busy: set[str]
) -> Iterator[Obstacle]:
    free, deploy = [node for node in ready if node.id not in busy], fields.get("deploy") or {}
    is_global = deploy.get("mode") == "global"
    wanted = len(ready) if is_global else replicas_of(fields)
    if ready and wanted > len(free):
        text = said(
            "Of the nodes that may run {service}, {count} have port {port} free ({nodes}), and it wants {wanted}.",
            service=name,
            wanted=wanted,
            port=_named(port),
            count=len(free),
            nodes=", ".join(node.hostname for node in free) or "-",
        )
        yield Obstacle(ObstacleKind.PORT, text, said("Publish another port, lower `replicas`, or add nodes."))
    elif ready and wanted >= len(free) and (deploy.get("update_config") or {}).get("order") == START_FIRST:
        text = said(
            "{service} starts a new task before the old one stops, and both want port {port} of their node: there is "
            "no node left for it.",
            service=name,
            port=_named(port),
        )
        yield Obstacle(ObstacleKind.PORT, text, said("Use `order: stop-first`, or add a node."), refuses=False)


def _held(service: str, port: Port, holder: str) -> Obstacle:
    text = said(
        "Port {port} of {service} is held by the service {holder}.", port=_named(port), service=service, holder=holder
    )
    return Obstacle(ObstacleKind.PORT, text, said("Remove {holder}, or publish another port.", holder=holder))


def _named(port: Port) -> str:
    return f"{port[0]}/{port[1]}"


def _wanted(fields: Mapping[str, Any], mode: str) -> set[Port]:
    """Return the fixed ports that a service of a model publishes in a mode."""
    return {
        (int(entry["published"]), str(entry.get("protocol") or "tcp"))
        for entry in fields.get("ports") or ()
        if str(entry.get("published", "")).isdigit()
        and int(entry["published"])
        and str(entry.get("mode") or INGRESS) == mode
    }


def _published(service: Mapping[str, Any], *modes: str) -> set[Port]:
    """Return the ports that a service of the Swarm publishes in some modes."""
    there = (service["Spec"].get("EndpointSpec") or {}).get("Ports") or ()
    given = (service.get("Endpoint") or {}).get("Ports") or ()
    return {
        (int(one.get("PublishedPort") or 0), str(one.get("Protocol") or "tcp"))
        for one in (*there, *given)
        if str(one.get("PublishMode") or INGRESS) in modes and one.get("PublishedPort")
    }


def find_on_swarm(calls: SwarmCalls, project: str, model: Mapping[str, Any]) -> tuple[Obstacle, ...]:
    """Ask a manager, and return every obstacle."""
    nodes, there = [swarm_node(one) for one in calls.nodes()], calls.services_named(stack_name(project, ""))
    left: list[SwarmNode] | None = None
    held: tuple[Obstacle, ...] = ()
    tasks = calls.tasks() if reserves(model) or publishes(model) else []
    if reserves(model):
        own = {str(one["ID"]) for one in there if (one["Spec"].get("Labels") or {}).get(STACK) == project}
        left = with_what_is_left(nodes, tasks, own)
    if publishes(model):
        held = tuple(find_held_ports(model, project, nodes, calls.all_services(), tasks))
    return (*find_unplaced(model, nodes, left), *find_held_names(model, project, there), *held)


def find_held_names(
    model: Mapping[str, Any], project: str, services: Iterable[Mapping[str, Any]]
) -> Iterator[Obstacle]:
    """Yield the services of a model whose names another's service has; `services` are what a manager shows."""
    names = {stack_name(project, name): name for name in services_of(model)}
    for found in services:
        called = str(found["Spec"]["Name"])
        if called in names and (found["Spec"].get("Labels") or {}).get(STACK) != project:
            yield Obstacle(
                ObstacleKind.SERVICE_NAME,
                said("The Swarm already has a service {service} that does not belong to this stack.", service=called),
                said("Remove it, or give the project or the service another name."),
            )
