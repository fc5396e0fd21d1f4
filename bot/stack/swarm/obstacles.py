"""Find what would stand in the way of a stack on a Swarm: no node that takes a service, names and ports of others."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from roas.messages.message import said
from roas.models.stack import Obstacle, ObstacleKind
from roas.models.swarm import SwarmNode
from roas.stack.model.services import services_of
from roas.stack.swarm.calls import SwarmCalls, swarm_node
from roas.stack.swarm.normal_form import is_of, stack_name

CONSTRAINT = re.compile(r"\s*(?P<key>[\w.\-/]+)\s*(?P<operator>==|!=)\s*(?P<value>.*?)\s*")
NODE_LABELS, ENGINE_LABELS = "node.labels.", "engine.labels."
INGRESS, HOST = "ingress", "host"
Json = dict[str, Any]
Port = tuple[int, str]


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


def find_unplaced(model: Mapping[str, Any], nodes: Sequence[SwarmNode]) -> Iterator[Obstacle]:
    """Yield what keeps each service from every node: constraints, or nodes that take no tasks."""
    for name, fields in sorted(services_of(model).items()):
        placement = (fields.get("deploy") or {}).get("placement") or {}
        constraints = [str(constraint) for constraint in placement.get("constraints") or ()]
        allowed = [node for node in nodes if all(satisfies(node, constraint) for constraint in constraints)]
        if not allowed:
            yield Obstacle(ObstacleKind.PLACEMENT, _unmet(name, constraints, nodes), "")
        elif not any(node.takes_tasks for node in allowed):
            shown = ", ".join(node.hostname for node in allowed)
            text = said("{service} may only run on {nodes}, where no tasks are accepted.", service=name, nodes=shown)
            yield Obstacle(ObstacleKind.PLACEMENT, text, "")


def _unmet(name: str, constraints: Sequence[str], nodes: Sequence[SwarmNode]) -> str:
    unmet = [
        constraint for constraint in constraints if not any(satisfies(node, constraint) for node in nodes)
    ] or constraints
    return said("No node satisfies what {service} asks for: {unmet}.", service=name, unmet=", ".join(unmet))


def find_held_ports(model: Mapping[str, Any], project: str, services: Iterable[Json]) -> Iterator[Obstacle]:
    """Yield the ports of a model that others hold; `services` are all that a manager shows.

    A port by ingress is one of the whole Swarm. One in `mode: host` is of a node: Swarm looks for one that has it free.
    """
    others = [service for service in services if not is_of(service, project)]
    for name, fields in sorted(services_of(model).items()):
        by_ingress = _wanted(fields, INGRESS)
        for port in sorted(by_ingress | _wanted(fields, HOST)):
            modes = (INGRESS, HOST) if port in by_ingress else (INGRESS,)
            if holder := next((other for other in others if port in _published(other, *modes)), None):
                yield _held(name, port, str(holder["Spec"]["Name"]))


def _held(service: str, port: Port, holder: str) -> Obstacle:
    shown = f"{port[0]}/{port[1]}"
    text = said("Port {port} of {service} is held by the service {holder}.", port=shown, service=service, holder=holder)
    return Obstacle(ObstacleKind.PORT, text, "")


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
        (int(container.get("PublishedPort") or 0), str(container.get("Protocol") or "tcp"))
        for container in (*there, *given)
        if str(container.get("PublishMode") or INGRESS) in modes and container.get("PublishedPort")
    }


def find_on_swarm(calls: SwarmCalls, project: str, model: Mapping[str, Any]) -> tuple[Obstacle, ...]:
    """Ask a manager, and return every obstacle."""
    nodes, services = [swarm_node(node) for node in calls.nodes()], calls.all_services()
    return (
        *find_unplaced(model, nodes),
        *find_held_names(model, project, services),
        *find_held_ports(model, project, services),
    )


def find_held_names(
    model: Mapping[str, Any], project: str, services: Iterable[Mapping[str, Any]]
) -> Iterator[Obstacle]:
    """Yield the services of a model whose names another's service has; `services` are what a manager shows."""
    names = {stack_name(project, name): name for name in services_of(model)}
    for service in services:
        called = str(service["Spec"]["Name"])
        if called in names and not is_of(service, project):
            yield Obstacle(
                ObstacleKind.SERVICE_NAME,
                said("The Swarm already has a service {service} that does not belong to this stack.", service=called),
                "",
            )
