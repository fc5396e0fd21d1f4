"""Replace the containers of a service behind a proxy that knows them by DNS alone, such as Caddy.

Docker's DNS names a container from its start to its end, whatever its health: there is nothing to tell such a proxy.
What is done is to let it learn of the new containers before the old ones go. The rest is the proxy's (it tries another
address where a connection is refused) and the service's own: it listens once it is ready, and on its stop signal it
takes no more connections and answers what it has.
"""

import time
from collections.abc import Awaitable, Callable, Collection

from roas.concurrency import pause
from roas.engine.proxied_service import ProxyReport
from roas.messages.message import said
from roas.models.proxy import ServiceProxy

LOOK_SECONDS = 0.5

# Return whether a container of the proxy runs.
Runs = Callable[[], Awaitable[bool]]


class DnsService:
    """Let a proxy learn of new containers by DNS; see the protocol `ProxiedService`."""

    def __init__(self, proxy: ServiceProxy, runs: Runs) -> None:
        self._proxy = proxy
        self._runs = runs

    async def hold(self, new: int) -> None:
        """Nothing can be held."""

    async def admit(self, containers: Collection[str], report: ProxyReport) -> None:
        """Give the proxy the time in which it asks for addresses again: it cannot be asked what it knows."""
        if containers and await self._runs():
            await report(said("until {proxy} has asked DNS again", proxy=self._proxy.service))
            until = time.monotonic() + self._proxy.refresh_seconds
            while (left := until - time.monotonic()) > 0 and await self._runs():
                await pause(min(left, LOOK_SECONDS))

    async def require(self, containers: Collection[str], report: ProxyReport) -> None:
        """Nothing can be asked: that the proxy runs is seen while it is observed."""

    async def drain(
        self,
        containers: Collection[str],
        report: ProxyReport,
        *,
        even_last: bool = True,
        others: Collection[str] = (),
        seconds: float = 0.0,
    ) -> int:
        """Nothing can be drained before the containers are told to stop."""
        return 0

    async def give_back(self, containers: Collection[str], failed: Collection[str]) -> None:
        """Nothing was taken away."""

    async def settle(self, *, waits: bool = True, holds: bool = False) -> None:
        """Nothing is left behind."""

    async def examine(self, servers: int) -> tuple[str, ...]:
        """Nothing can be asked."""
        return ()
