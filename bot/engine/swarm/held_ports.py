"""Find published ports that a Swarm would refuse in the middle, or for which it would wait for a node for ever."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from roas.engine.labels import STACK
from roas.engine.model.services import replicas_of, services_of
from roas.engine.swarm.placement import ready_nodes
from roas.engine.swarm.tasks import DOOMED
from roas.messages.message import said
from roas.models.obstacle import Obstacle, ObstacleKind
from roas.models.swarm import SwarmNode

Json = dict[str, Any]
Port = tuple[int, str]
INGRESS, HOST = "ingress", "host"
START_FIRST = "start-first"


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
