"""Look at a stack as a manager shows it at one moment: its services, its tasks, and where these are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from roas.engine.swarm.calls import SwarmCalls

Json = dict[str, Any]
DOWN = frozenset({"down", "disconnected"})


@dataclass(frozen=True, slots=True)
class StackLook:
    """Hold what a manager showed; `networks` and `hostnames` are names by id, `lost` the ids of nodes that are down."""

    services: tuple[Json, ...] = ()
    tasks: tuple[Json, ...] = ()
    networks: Mapping[str, str] = field(default_factory=dict)
    hostnames: Mapping[str, str] = field(default_factory=dict)
    lost: frozenset[str] = frozenset()


def look_at_stack(calls: SwarmCalls, project: str) -> StackLook:
    """Ask a manager about a stack; where it has no service, nothing else is said of it."""
    tasks, services = calls.tasks_of_stack(project), calls.services(project)
    if not services:
        return StackLook(tasks=tuple(tasks))
    nodes = calls.nodes()
    return StackLook(
        tuple(services),
        tuple(tasks),
        calls.network_names(services),
        {str(one["ID"]): hostname(one) for one in nodes},
        frozenset(str(one["ID"]) for one in nodes if (one.get("Status") or {}).get("State") in DOWN),
    )


def hostname(node: Mapping[str, Any]) -> str:
    """Return what a node calls itself; one that never joined wholly has no name yet."""
    return str((node.get("Description") or {}).get("Hostname") or node["ID"])
