"""Find what the execution of a model would come upon on a Swarm: no node for a service, names and ports of others."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from roas.engine.labels import STACK
from roas.engine.model.services import services_of
from roas.engine.swarm.calls import SwarmCalls
from roas.engine.swarm.facts import swarm_node
from roas.engine.swarm.held_ports import find_held_ports, publishes
from roas.engine.swarm.names import stack_name
from roas.engine.swarm.placement import find_unplaced
from roas.engine.swarm.reservations import reserves, with_what_is_left
from roas.messages.message import said
from roas.models.obstacle import Obstacle, ObstacleKind
from roas.models.swarm import SwarmNode


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
