"""Check which networks of a model exist, and connect containers to them."""

from collections.abc import Mapping
from typing import Any

import docker

from roas.engine.client import EngineClients
from roas.engine.containers.snapshots import inspect_or_none, list_ids
from roas.models.environment import Environment

# What a service says of its place in each network, by the engine's name of that.
Endpoints = Mapping[str, Mapping[str, Any]]
ADDRESSES = ("ipv4_address", "ipv6_address", "link_local_ips")


def endpoints_of(fields: Mapping[str, Any], model: Mapping[str, Any]) -> Endpoints:
    """Return the networks that a service joins."""
    definitions = model.get("networks") or {}
    return {
        str((definitions.get(key) or {}).get("name") or f"{model['name']}_{key}"): end or {}
        for key, end in (fields.get("networks") or {}).items()
    }


async def connect_again(clients: EngineClients, environment: Environment, services: Mapping[str, Endpoints]) -> None:
    """Connect the containers of services to the networks that hands took them out of.

    Raises EngineError where the engine refuses, such as for an address that another one has by now.
    """

    def connect(client: docker.DockerClient) -> None:
        for service, endpoints in services.items():
            for container_id in list_ids(client, environment.project, service) if endpoints else ():
                inspected = inspect_or_none(client, container_id) or {}
                there = (inspected.get("NetworkSettings") or {}).get("Networks") or {}
                for name in endpoints.keys() - there.keys() if inspected else ():
                    aliases = [inspected["Name"].lstrip("/"), service, *(endpoints[name].get("aliases") or ())]
                    own = {key: value for key in ADDRESSES if (value := endpoints[name].get(key))}
                    client.api.connect_container_to_network(container_id, name, aliases=aliases, **own)

    if any(services.values()):
        await clients.call(environment, connect)


async def missing_networks(
    clients: EngineClients, environment: Environment, model: Mapping[str, Any]
) -> frozenset[str]:
    """Return the keys of a model's own networks that the engine does not have yet."""
    names = {
        key: str((definition or {}).get("name") or f"{model['name']}_{key}")
        for key, definition in (model.get("networks") or {}).items()
        if not (definition or {}).get("external")
    }

    def look(client: docker.DockerClient) -> frozenset[str]:
        there = {network["Name"] for network in client.api.networks()}
        return frozenset(key for key, name in names.items() if name not in there)

    return await clients.call(environment, look) if names else frozenset()
