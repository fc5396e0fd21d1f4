"""Replace the containers of a service behind a proxy: what is asked of any kind of proxy."""

import time
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping
from dataclasses import dataclass

from roas.concurrency import pause
from roas.models.canary import ServerCount
from roas.models.health import ContainerSnapshot

# While old containers serve beside the new ones, and wait for whether these stay well.
WATCH_SECONDS = 0.25
# Called with what is waited for at the proxy, for whoever follows the deployment.
ProxyReport = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Hold a container and its addresses in all networks; a stopped one has none."""

    container: ContainerSnapshot
    addresses: frozenset[str]


class ProxiedService:
    """Tell the proxy in front of one service which of its containers come and go.

    The order is: `hold`, start the new containers, `admit` them once they are healthy, `watch` them beside the old
    ones, `drain` these, stop them, `settle`. Each may be called again, and by another process after a crash. What is
    here is for a proxy that cannot be told or asked anything.
    """

    async def hold(self, new: int) -> None:
        """Let the proxy send nothing to containers that come from now on. Raises ProxyError, with nothing changed.

        So it raises where it has no room for the `new` ones.
        """

    async def admit(self, containers: Collection[str], report: ProxyReport) -> None:
        """Let the proxy send requests to containers, and wait until it does. Raises ProxyError where it does not."""

    async def require(self, containers: Collection[str], report: ProxyReport) -> None:
        """Wait until a proxy that was just replaced or started again serves containers, as `admit` does.

        Raises ProxyError where it does not, also where no container of the proxy runs.
        """

    async def watch(self, containers: Collection[str], seconds: float) -> None:
        """Let so many seconds pass, unless a check finds that a container has failed: that raises ProxyError."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            await self.check(containers)
            await pause(min(left, WATCH_SECONDS))

    async def check(self, containers: Collection[str]) -> None:
        """Raise ProxyError where the proxy's check has failed for a container."""

    async def drain(
        self,
        containers: Collection[str],
        report: ProxyReport,
        *,
        even_last: bool = True,
        others: Collection[str] = (),
    ) -> int:
        """Let the proxy send no more requests to containers, and wait until those that it sent have ended.

        Returns how many connections are still open after the time that is given to them. Unless `even_last`, nothing
        is done where no other container would be left to send requests to. A proxy that is away is waited for as long,
        and no longer: nothing goes through it. Where requests can be given back, ProxyError is raised as soon as the
        proxy's check has failed for one of the `others`.
        """
        return 0

    async def give_back(self, containers: Collection[str], failed: Collection[str]) -> None:
        """Let the proxy send requests to these containers, drained or not, and none to those that `failed` beside them.

        Never raises ProxyError.
        """

    async def weigh(self, old: Collection[str], new: int, share: int) -> None:
        """Let the proxy send a share of the requests, in percent, to what is not `old`: to so many `new` containers.

        Also to those that are yet to come; without a share, each container gets as many. Raises ProxyError.
        """

    async def counts(self) -> Mapping[Hashable, ServerCount] | None:
        """Return what each place at the proxy has counted, and for which container; None where it cannot be asked."""
        return None

    async def settle(self, *, waits: bool = True, holds: bool = False) -> None:
        """Leave nothing held, drained or weighed, but what is not well or is about to go. Never raises ProxyError.

        Where it `waits`, the servers of containers that are gone are made ready as soon as the proxy knows it. Where it
        `holds`, what is not well is sent nothing, and neither is what starts from now on, until it is well.
        """

    async def examine(self, servers: int) -> tuple[str, ...]:
        """Return what is wrong with the proxy as it runs, where a deployment needs so many servers of each backend.

        Nothing is changed. Raises ProxyError where it cannot be asked.
        """
        return ()
