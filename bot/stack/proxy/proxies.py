"""Find the proxy in front of a service of an environment."""

import time
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path, PurePosixPath

from roas.concurrency import pause
from roas.messages.message import said
from roas.models.stack import ProxyKind, ServiceProxy
from roas.stack.client import Engine
from roas.stack.proxy.addresses import SocketPlace, find_endpoints, find_socket
from roas.stack.proxy.haproxy import HAProxyRuntime, ProxyAwayError
from roas.stack.proxy.haproxy_service import Connect, HAProxyService
from roas.stack.proxy.proxied_service import ProxiedService, ProxyReport

POLL_SECONDS = 0.5
# Return whether a container of the proxy runs.
Runs = Callable[[], Awaitable[bool]]
# A proxy that is drained is asked twenty times a second: where its socket is changes only with its container.
PLACE_SECONDS = 1.0


class DnsService(ProxiedService):
    """Let a proxy learn of new containers by DNS."""

    def __init__(self, proxy: ServiceProxy, runs: Runs) -> None:
        self._proxy = proxy
        self._runs = runs

    async def admit(self, containers: Collection[str], report: ProxyReport) -> None:
        """Give the proxy the time in which it asks for addresses again: it cannot be asked what it knows."""
        if containers and await self._runs():
            await report(said("until {proxy} has asked DNS again", proxy=self._proxy.service))
            until = time.monotonic() + self._proxy.refresh_seconds
            while (left := until - time.monotonic()) > 0 and await self._runs():
                await pause(min(left, POLL_SECONDS))


def proxied_service(engine: Engine, service: str, proxy: ServiceProxy) -> ProxiedService:
    """Return what tells the proxy in front of a service of its containers."""
    if proxy.kind is ProxyKind.DNS:

        async def runs() -> bool:
            ends = await find_endpoints(engine, proxy.service)
            return any(endpoint.addresses for endpoint in ends)

        return DnsService(proxy, runs)
    connect = connector(engine, proxy)
    return HAProxyService(service, proxy, connect, lambda: find_endpoints(engine, service))


def connector(engine: Engine, proxy: ServiceProxy) -> Connect:
    """Return what connects to HAProxy's admin socket, wherever that is just then."""
    return _Place(engine, proxy).connect


class _Place:
    """Remember for a moment where a proxy's socket is."""

    def __init__(self, engine: Engine, proxy: ServiceProxy) -> None:
        self._engine = engine
        self._proxy = proxy
        self._found: SocketPlace | None = None
        self._until = 0.0

    async def connect(self) -> HAProxyRuntime | None:
        """Return the proxy's runtime API, or None where the proxy does not run. Raises ProxyAwayError."""
        if self._found is None or time.monotonic() >= self._until:
            path = PurePosixPath(self._proxy.socket)
            self._found = await find_socket(self._engine, self._proxy.service, path)
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
