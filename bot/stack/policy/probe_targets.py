"""Decide which addresses a probe may ask: those of the environment's own services and networks, and what is allowed.

A probe is a request that whoever writes a compose file makes the bot send. `probe:HOST:PORT` in COMPOSE_POLICY_ALLOW
allows another target, as the probe's URL names it.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from roas.errors import EngineUnavailableError
from roas.models.environment import Environment
from roas.stack.containers.own_container import own_container_id
from roas.stack.docker.api_errors import ApiNotFoundError
from roas.stack.docker.engine import EngineClients, is_local
from roas.stack.docker.labels import PROJECT
from roas.stack.docker.sdk import EngineClient
from roas.stack.policy.compose_policy import ComposePolicy

ANYWHERE = "0.0.0.0"  # noqa: S104 - as Docker says it
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Place:
    """Hold where an environment's services are: their addresses, its networks, the ports that it publishes here."""

    addresses: frozenset[Address] = frozenset()
    networks: frozenset[Network] = frozenset()
    gateways: frozenset[Address] = frozenset()
    published: frozenset[tuple[Address, int]] = frozenset()

    def holds(self, address: Address, port: int) -> bool:
        """Return whether an address is one of the environment's; the gateway of a network is the host."""
        if address in self.addresses:
            return True
        if any(address.version == network.version and address in network for network in self.networks):
            return address not in self.gateways
        return any(port == open_ and _answers_for(bound, address) for bound, open_ in self.published)


class ProbeTargets:
    """Ask the engine where an environment's services are; while it is away, what it said last holds."""

    def __init__(self, clients: EngineClients, policy: ComposePolicy) -> None:
        self._clients = clients
        self._policy = policy
        self._last: dict[str, Place] = {}

    async def permitted(
        self, environment: Environment, host: str, port: int, addresses: Iterable[str]
    ) -> tuple[str, ...]:
        """Return those of the addresses of a host that a probe may ask."""
        found = tuple(addresses)
        if self._policy.allows(f"probe:{host}:{port}", environment):
            return found
        place = await self._place(environment)
        return tuple(name for name in found if place.holds(_plain(name), port))

    async def _place(self, environment: Environment) -> Place:
        def read(client: EngineClient) -> Place:
            return _read(client, environment.project, sees_host=is_local(environment) and not _is_within(client))

        with suppress(EngineUnavailableError):
            self._last[environment.name] = await self._clients.of(environment).call(read)
        return self._last.get(environment.name, Place())


def _read(client: EngineClient, project: str, *, sees_host: bool) -> Place:
    own = {"label": f"{PROJECT}={project}"}
    addresses: set[Address] = set()
    published: set[tuple[Address, int]] = set()
    for container in client.containers(filters=own):
        joined = (container.get("NetworkSettings") or {}).get("Networks") or {}
        for network in joined.values():
            addresses |= {
                _plain(address) for key in ("IPAddress", "GlobalIPv6Address") if (address := network.get(key))
            }
        if sees_host:
            ports = [port for port in container.get("Ports") or () if port.get("PublicPort")]
            published |= {(_plain(port.get("IP") or ANYWHERE), port["PublicPort"]) for port in ports}
    networks: set[Network] = set()
    gateways: set[Address] = set()
    for network in client.networks(filters=own):
        for config in (network.get("IPAM") or {}).get("Config") or ():
            if subnet := config.get("Subnet"):
                networks.add(ip_network(subnet, strict=False))
                # Without one that is named, it is the first.
                gateways.add(_plain(config.get("Gateway") or str(ip_network(subnet, strict=False)[1])))
    return Place(frozenset(addresses), frozenset(networks), frozenset(gateways), frozenset(published))


def _is_within(client: EngineClient) -> bool:
    """Return whether this process runs in a container of an engine, with a loopback of its own."""
    own_id = own_container_id()
    try:
        own = None if own_id is None else client.inspect_container(own_id)
    except ApiNotFoundError:
        return False
    return own is not None and own["HostConfig"].get("NetworkMode") != "host"


def _plain(text: str) -> Address:
    """Read an address without zone and prefix; an IPv4 address within IPv6 is what it leads to."""
    address = ip_address(text.partition("/")[0].partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _answers_for(bound: Address, address: Address) -> bool:
    """Return whether what is bound to an address answers at another one: bound to all, at loopback."""
    return address == bound or (bound.is_unspecified and address.is_loopback)
