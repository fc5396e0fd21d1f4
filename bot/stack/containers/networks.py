"""Check which networks of a model exist, and connect what has stopped to those that came in their place."""

from collections.abc import Mapping
from typing import Any

from roas.stack.docker.engine import Engine
from roas.stack.docker.sdk import EngineClient
from roas.stack.model.services import real_name


async def missing_networks(engine: Engine, model: Mapping[str, Any]) -> frozenset[str]:
    """Return the keys of a model's own networks that the engine does not have yet."""
    names = {
        key: real_name(key, definition, model["name"])
        for key, definition in (model.get("networks") or {}).items()
        if not (definition or {}).get("external")
    }

    def ask(client: EngineClient) -> frozenset[str]:
        there = {network["Name"] for network in client.networks()}
        return frozenset(key for key, name in names.items() if name not in there)

    return await engine.call(ask) if names else frozenset()


def rejoin(client: EngineClient, inspected: Mapping[str, Any]) -> bool:
    """Connect a stopped container to the networks that have the names of those that it was in, and are gone.

    Returns whether there were any: the engine would look for the old ones by id.
    """
    networks = {network["Name"]: network["Id"] for network in client.networks()}
    ends = (inspected.get("NetworkSettings") or {}).get("Networks") or {}
    moved = {name: end for name, end in ends.items() if networks.get(name, end["NetworkID"]) != end["NetworkID"]}
    for name, end in moved.items():
        client.disconnect_container_from_network(inspected["Id"], name, force=True)
        own = end.get("IPAMConfig") or {}
        client.connect_container_to_network(
            inspected["Id"],
            name,
            ipv4_address=own.get("IPv4Address"),
            ipv6_address=own.get("IPv6Address"),
            link_local_ips=own.get("LinkLocalIPs"),
            aliases=end.get("Aliases"),
            links=[(on, alias) for on, _, alias in (link.partition(":") for link in end.get("Links") or ())],
            driver_opt=end.get("DriverOpts"),
        )
    return bool(moved)
