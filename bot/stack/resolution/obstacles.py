"""Find what the execution of a release would come upon on the engine: what is missing, and what others hold."""

from collections.abc import Iterator, Mapping
from typing import Any

from roas.messages.message import Message, said
from roas.models.environment import Environment
from roas.models.stack import Obstacle, ObstacleKind
from roas.stack.machine.host_ports import wanted_ports
from roas.stack.model.services import real_name, services_of
from roas.stack.policy.holdings import NOTHING_HELD, EngineHoldings


def find_obstacles(
    model: Mapping[str, Any], environment: Environment, holdings: EngineHoldings
) -> tuple[Obstacle, ...]:
    """Return every obstacle; none where the engine could not be asked.

    Of a Swarm it is one node of many: what volumes and ports that one has says nothing of the node that gets a task.
    """
    if holdings is NOTHING_HELD:
        return ()
    services = services_of(model)
    if environment.on_swarm:
        return tuple(_missing("network", model, _networks_used(services), holdings.networks))
    return (
        *_missing("network", model, _networks_used(services), holdings.networks),
        *_missing("volume", model, _volumes_used(services), holdings.volumes),
        *_held_names(services, environment.project, holdings),
        *_held_ports(services, environment, holdings),
    )


def find_new_volumes(model: Mapping[str, Any], environment: Environment, holdings: EngineHoldings) -> frozenset[str]:
    """Return the volumes of a model that the engine does not have; of a Swarm all, of whose nodes one is asked."""
    if holdings is NOTHING_HELD:
        return frozenset()
    volumes = (model.get("volumes") or {}).items()
    names = frozenset(real_name(str(key), definition, environment.project) for key, definition in volumes)
    return names if environment.on_swarm else names - holdings.volumes.keys()


def _missing(kind: str, model: Mapping[str, Any], used: set[str], present: Any) -> Iterator[Obstacle]:
    for key, definition in sorted((model.get(f"{kind}s") or {}).items()):
        fields = definition or {}
        name = str(fields.get("name") or key)
        if fields.get("external") and key in used and name not in present:
            yield Obstacle(
                ObstacleKind.EXTERNAL,
                said("The external {kind} {name} does not exist.", kind=kind, name=name),
                said("Create it with `docker {kind} create {name}`, or remove `external`.", kind=kind, name=name),
            )


def _held_names(services: Mapping[str, Any], project: str, holdings: EngineHoldings) -> Iterator[Obstacle]:
    for service, fields in services.items():
        name = str(fields.get("container_name") or "")
        for held in holdings.containers:
            if name and held.name == name and held.project != project:
                owner = (
                    said("of the project {project}", project=held.project)
                    if held.project
                    else said("that Compose did not create")
                )
                yield Obstacle(
                    ObstacleKind.CONTAINER_NAME,
                    said(
                        "The name {name} of {service} is held by a container {owner}.",
                        name=name,
                        service=service,
                        owner=owner,
                    ),
                    said(
                        "Remove it with `docker rm -f {name}` if it is not needed, or give {service} another name.",
                        name=name,
                        service=service,
                    ),
                )


def _held_ports(services: Mapping[str, Any], environment: Environment, holdings: EngineHoldings) -> Iterator[Obstacle]:
    for port in wanted_ports(services):
        holder = port.holder(holdings.ports, environment.project)
        if holder is not None:
            yield Obstacle(
                ObstacleKind.PORT,
                said(
                    "{port} is held by the container {container}.",
                    port=said("Port {address} of {service}", address=port.address, service=port.service),
                    container=holder.container,
                ),
                another_port(holder.container, environment),
            )


def another_port(container: str, environment: Environment) -> Message:
    """Say what to do about a port that a container holds."""
    return said(
        "Stop {container}, or publish another port: by a variable in .env.{environment}, or in "
        "docker-compose.{environment}.yml.",
        container=container,
        environment=environment.name,
    )


def _networks_used(services: Mapping[str, Any]) -> set[str]:
    return {str(key) for fields in services.values() for key in fields.get("networks") or ()}


def _volumes_used(services: Mapping[str, Any]) -> set[str]:
    mounts = (mount for fields in services.values() for mount in fields.get("volumes") or ())
    return {str(mount.get("source")) for mount in mounts if mount.get("type") == "volume"}
