"""Find the proxy in front of a service of an environment."""

import time
from pathlib import Path, PurePosixPath

from roas.engine.client import EngineClients
from roas.engine.proxied_service import ProxiedService
from roas.engine.proxy.addresses import SocketPlace, find_endpoints, find_socket
from roas.engine.proxy.dns_service import DnsService
from roas.engine.proxy.haproxy import HAProxyRuntime, ProxyAwayError
from roas.engine.proxy.haproxy_service import Connect, HAProxyService
from roas.messages.message import said
from roas.models.environment import Environment
from roas.models.proxy import ProxyKind, ServiceProxy

# A proxy that is drained is asked twenty times a second: where its socket is changes only with its container.
PLACE_SECONDS = 1.0


def proxied_service(
    clients: EngineClients, environment: Environment, service: str, proxy: ServiceProxy
) -> ProxiedService:
    """Return what tells the proxy in front of a service of its containers."""
    if proxy.kind is ProxyKind.DNS:

        async def runs() -> bool:
            ends = await find_endpoints(clients, environment, proxy.service)
            return any(one.addresses for one in ends)

        return DnsService(proxy, runs)
    connect = connector(clients, environment, proxy)
    return HAProxyService(service, proxy, connect, lambda: find_endpoints(clients, environment, service))


def connector(clients: EngineClients, environment: Environment, proxy: ServiceProxy) -> Connect:
    """Return what connects to HAProxy's admin socket, wherever that is just then."""
    return _Place(clients, environment, proxy).connect


class _Place:
    """Remember for a moment where a proxy's socket is."""

    def __init__(self, clients: EngineClients, environment: Environment, proxy: ServiceProxy) -> None:
        self._clients = clients
        self._environment = environment
        self._proxy = proxy
        self._found: SocketPlace | None = None
        self._until = 0.0

    async def connect(self) -> HAProxyRuntime | None:
        """Return the proxy's runtime API, or None where the proxy does not run. Raises ProxyAwayError."""
        if self._found is None or time.monotonic() >= self._until:
            path = PurePosixPath(self._proxy.socket)
            self._found = await find_socket(self._clients, self._environment, self._proxy.service, path)
            self._until = time.monotonic() + PLACE_SECONDS
        if self._found is None:
            return None
        if self._found.folder is None:
            raise ProxyAwayError(
                said(
                    "{socket} of {proxy} is not seen from here.", socket=self._proxy.socket, proxy=self._proxy.service
                ),
                hint=said("Mount the volume that has the socket into the bot's container, too."),
            )
        return HAProxyRuntime(self._found.folder, Path(self._found.name))
