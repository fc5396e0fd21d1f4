"""Replace the containers of a service behind HAProxy: servers are held, admitted, drained and made ready again.

`server-template` has a number of servers without an address, and HAProxy's resolver gives each container that Docker's
DNS names to one of them. So those that have none yet are held before new containers start: whoever gets into one is
sent nothing until it is healthy. A server is told by a container's address. What was held or drained is made ready
again, since the next container may get into that server.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from roas.concurrency import pause
from roas.errors import ProxyError
from roas.limits import PROXY_STARTING_SECONDS
from roas.log import get_logger
from roas.messages.message import said
from roas.models.canary import ServerCount
from roas.models.stack import ServiceProxy
from roas.stack.proxy.haproxy import HAProxyRuntime, ProxyAwayError, Server, ServerState, UnknownBackendError
from roas.stack.proxy.proxied_service import Endpoint, ProxiedService, ProxyReport
from roas.stack.service_comparison import serves

NEEDED_LEVEL = "admin"
# A section of resolvers that HAProxy makes by itself, of /etc/resolv.conf.
BUILT_IN = "default"
log = get_logger(__name__)
# HAProxy has no events to wait for.
POLL_SECONDS = 0.05
# How long a proxy may take to see a container that is healthy, or to come back after it was started again.
SEEN_SECONDS = 30.0
# How long it may take to learn from DNS that a container is gone.
FORGOTTEN_SECONDS = 10.0
# The greatest weight that HAProxy takes.
MOST_WEIGHT = 256
# How often in a row nothing may be open: a request may be on its way between two servers.
QUIET_READINGS = 2
# Return a new connection to the proxy, or None where no container of it runs.
Connect = Callable[[], Awaitable[HAProxyRuntime | None]]
# Return the containers of the service, with their addresses.
FindEndpoints = Callable[[], Awaitable[Sequence[Endpoint]]]


async def find_problems(runtime: HAProxyRuntime, proxy: ServiceProxy, servers: int) -> list[str]:
    """Return what is wrong, and how to put it right, in a sentence each. Raises ProxyError where it cannot be asked."""
    found: list[str] = []
    if (level := await runtime.level()) != NEEDED_LEVEL:
        found.append(
            said("The socket of {proxy} has level {level}: give it `level admin`.", proxy=proxy.service, level=level)
        )
    seen = await runtime.servers(proxy.all_backends)
    # Without a resolver each server has the address that its name had at the start.
    if all(server.address for server in seen) and not await runtime.resolvers() - {BUILT_IN}:
        found.append(
            said(
                "{proxy} has no `resolvers` section: without Docker's resolver it never learns of new containers.",
                proxy=proxy.service,
            )
        )
    if proxy.is_weighed:
        tcp = {server.backend for server in seen if server.mode == "tcp"} & set(proxy.backends)
        found += [
            said(
                "The backend {backend} of {proxy} has `mode tcp`: it counts no answers, so that no canary is judged by "
                "`errors`. Give it `mode http`.",
                backend=backend,
                proxy=proxy.service,
            )
            for backend in sorted(tcp)
        ]
    there = Counter(server.backend for server in seen)
    return [*found, *few_servers(proxy.service, proxy.all_backends, there, servers)]


def few_servers(proxy: str, backends: Iterable[str], there: Mapping[str, int], needed: int) -> Iterator[str]:
    """Yield which backends have fewer servers than a deployment needs."""
    for backend in backends:
        if there[backend] < needed:
            yield said(
                "The backend {backend} of {proxy} has {there} {there|server|servers}, and a deployment needs "
                "{servers}: raise the number of its `server-template`.",
                backend=backend,
                proxy=proxy,
                there=there[backend],
                servers=needed,
            )


class ChecksFailError(ProxyError):
    """HAProxy's check fails for a container that it sends requests to."""


class HAProxyService(ProxiedService):
    """Tell one HAProxy which containers of a service come and go."""

    def __init__(
        self,
        service: str,
        proxy: ServiceProxy,
        connect: Connect,
        find_endpoints: FindEndpoints,
        reloading: asyncio.Lock | None = None,
    ) -> None:
        """Tell it; while it is `reloading`, whoever tells it does so for it to be forgotten."""
        self._service = service
        self._proxy = proxy
        self._connect = connect
        self._endpoints = find_endpoints
        self._reloading = reloading or asyncio.Lock()
        # Where a proxy was there and is not any more, it is being started again.
        self._was_there = False
        # The addresses of what was drained by this.
        self._drained = frozenset[str]()

    async def hold(self, new: int) -> None:
        """Let the proxy send nothing to containers that come from now on; one that starts again has a moment for it."""
        away_until, deadline = time.monotonic() + PROXY_STARTING_SECONDS, time.monotonic() + FORGOTTEN_SECONDS
        while True:
            try:
                async with self._reloading:
                    lacks = await self._hold(new)
            except ProxyAwayError:
                if time.monotonic() >= away_until:
                    raise
            else:
                if lacks is None:
                    return
                if time.monotonic() >= deadline:
                    raise lacks
            await pause(POLL_SECONDS)

    async def _hold(self, new: int) -> ProxyError | None:
        """Drain the servers without an address; returns why not, where a few more are about to be free."""
        runtime = await self._connect()
        if runtime is None:
            log.info("no proxy runs, so nobody comes through it", service=self._service, proxy=self._proxy.service)
            return None
        self._was_there = True
        servers = await runtime.servers(self._proxy.all_backends)
        if (lacks := self._find_full(servers, new)) is None:
            await runtime.put(
                [server for server in servers if not server.address and not server.draining], ServerState.DRAIN
            )
        # A few at a time, the next ones come at once into the servers of those that have just gone.
        elif not await self._is_forgetting(servers):
            raise lacks
        return lacks

    def _find_full(self, servers: Collection[Server], new: int) -> ProxyError | None:
        """Return what is wrong where a backend has no server without an address for each new container."""
        for backend in self._proxy.all_backends:
            free = [server for server in servers if server.backend == backend and not server.address]
            if len(free) < new:
                return ProxyError(
                    said(
                        "The backend {backend} of {proxy} has {free} free {free|server|servers} "
                        "for {new} new {new|container|containers} of {service}.",
                        backend=backend,
                        proxy=self._proxy.service,
                        free=len(free),
                        new=new,
                        service=self._service,
                    ),
                    hint=said("Give its `server-template` twice as many servers as the service has containers."),
                    service=self._service,
                )
        return None

    async def _is_forgetting(self, servers: Collection[Server]) -> bool:
        """Return whether a server still has the address of a container that is gone."""
        known = {address for endpoint in await self._endpoints() for address in endpoint.addresses}
        return any(_is_gone(server, known) for server in servers)

    async def admit(self, containers: Collection[str], report: ProxyReport) -> None:
        """Let the proxy send requests to containers, and wait until it does; nothing where no container of it runs."""
        await self._admit_seen(containers, report, must_run=False)

    async def require(self, containers: Collection[str], report: ProxyReport) -> None:
        """Wait until a proxy that was just replaced serves containers: one that does not run yet is waited for."""
        await self._admit_seen(containers, report, must_run=True)

    async def _admit_seen(self, containers: Collection[str], report: ProxyReport, *, must_run: bool) -> None:
        deadline = time.monotonic() + SEEN_SECONDS
        told, problem = False, ""
        while True:
            try:
                runtime = await self._connect()
                if runtime is None and not told and not must_run:
                    return
                problem = await self._admit(runtime, containers) if runtime is not None else self._is_away()
            except (ProxyAwayError, UnknownBackendError) as error:  # this deployment may replace it by one that knows
                problem = error.message
            if not problem:
                return
            if time.monotonic() >= deadline:
                raise ProxyError(
                    said(
                        "{proxy} sends {service} nothing: {problem}",
                        proxy=self._proxy.service,
                        service=self._service,
                        problem=problem,
                    ),
                    hint=said("Read the proxy's log, and compare its health check with the service's own."),
                    service=self._service,
                )
            if not told:
                told = True
                await report(said("until {proxy} sees it", proxy=self._proxy.service))
            await pause(POLL_SECONDS)

    async def _admit(self, runtime: HAProxyRuntime, containers: Collection[str]) -> str:
        """Make ready what passes the proxy's check; returns why it does not send requests to all of them yet."""
        wanted = [endpoint for endpoint in await self._endpoints() if endpoint.container.id in containers]
        servers = await runtime.servers(self._proxy.all_backends)
        ours = [server for server in servers if any(server.address in end.addresses for end in wanted)]
        await runtime.put([server for server in ours if server.draining and server.passing], ServerState.READY)
        for end in wanted:
            for backend in self._proxy.all_backends:
                its = [server for server in ours if server.backend == backend and server.address in end.addresses]
                if not any(it.receives or it.by_hand for it in its):
                    state = its[0].status if its else said("no server has its address")
                    name = end.container.name
                    return said("{name} in {backend}: {state}", name=name, backend=backend, state=state)
        return ""

    async def check(self, containers: Collection[str]) -> None:
        """Raise ProxyError where a server of the containers is down; a proxy that is away sends nobody there."""
        with suppress(ProxyAwayError):
            if (runtime := await self._connect()) is None:
                return
            addresses = _addresses(await self._endpoints(), containers)
            for server in await runtime.known_servers(self._proxy.all_backends):
                if server.address in addresses and server.down and not server.by_hand:
                    raise self._checks_fail(server)

    async def drain(
        self,
        containers: Collection[str],
        report: ProxyReport,
        *,
        even_last: bool = True,
        others: Collection[str] = (),
    ) -> int:
        """Let the proxy send no more requests to containers, and wait until those that it sent have ended."""
        there = await self._endpoints()
        addresses, served = _addresses(there, containers), _addresses(there, others)
        self._drained = addresses
        if not addresses:
            return 0
        deadline = time.monotonic() + self._proxy.limit_seconds
        quiet, left, reported = 0, 0, 0
        while quiet < QUIET_READINGS:
            is_over = time.monotonic() >= deadline
            try:
                found = await self._drain(addresses, served, even_last=even_last, is_over=is_over)
            except ChecksFailError:
                raise
            except ProxyError as error:
                log.warning("the proxy cannot be asked while it drains", service=self._service, error=error.message)
                found, self._was_there = None, True
            if found is None and not self._was_there:
                return 0
            left = left if found is None else found
            quiet = quiet + 1 if found == 0 else 0
            if is_over:
                break
            if left not in {0, reported}:
                reported = left
                await report(
                    said(
                        "{left} {left|connection|connections} at {proxy} {left|ends|end} first",
                        left=left,
                        proxy=self._proxy.service,
                    )
                )
            await pause(POLL_SECONDS)
        return left

    async def _drain(
        self, addresses: Collection[str], served: Collection[str], *, even_last: bool, is_over: bool
    ) -> int | None:
        """Drain the servers that have addresses; returns how many connections are waited for, None without a proxy."""
        runtime = await self._connect()
        if runtime is None:
            return None
        self._was_there = True
        servers = await runtime.known_servers(self._proxy.all_backends)
        going = [server for server in servers if server.address in addresses]
        if failing := [
            server for server in servers if server.address in served and server.failing and not server.by_hand
        ]:
            # Once they are down, who comes next would be refused: until then, HAProxy tries again.
            await runtime.put([server for server in going if server.draining], ServerState.READY)
            if down := [server for server in failing if server.down or is_over]:
                raise self._checks_fail(down[0])
            return None
        if not even_last and not any(server.receives and server not in going for server in servers):
            return 0
        # Also what was drained before: HAProxy may have been started again meanwhile.
        # `drain` ends a `maint`: whoever took a container out that stays (which is not `even_last`) wants it out.
        fresh = [server for server in going if not server.draining and (even_last or not server.by_hand)]
        await runtime.put(fresh, ServerState.DRAIN)
        left = sum(server.connections for server in going if server.backend in self._proxy.backends)
        return left or (None if fresh else 0)

    def _checks_fail(self, server: Server) -> ChecksFailError:
        return ChecksFailError(
            said(
                "The check of {proxy} fails for the new {service}: {status}",
                proxy=self._proxy.service,
                service=self._service,
                status=f"{server.backend}/{server.name}: {server.status}",
            ),
            hint=said("Read the proxy's log, and compare its health check with the service's own."),
            service=self._service,
        )

    async def _connected(self) -> HAProxyRuntime | None:
        """Return a proxy that answers: one that starts again has a moment for it. None where none runs."""
        away_until = time.monotonic() + PROXY_STARTING_SECONDS
        while True:
            try:
                if (runtime := await self._connect()) is not None:
                    await runtime.worker()
                    self._was_there = True
                if runtime is not None or not self._was_there or time.monotonic() >= away_until:
                    return runtime
            except ProxyAwayError:
                if time.monotonic() >= away_until:
                    raise
                self._was_there = True
            await pause(POLL_SECONDS)

    async def give_back(self, containers: Collection[str], failed: Collection[str]) -> None:
        """Make the containers ready, at once; then drain those that were to take their place and failed."""
        try:
            if (runtime := await self._connected()) is None:
                return
            servers = await runtime.known_servers(self._proxy.all_backends)
            addresses = self._drained or _addresses(await self._endpoints(), containers)
            back = [server for server in servers if server.address in addresses]
            await runtime.put([server for server in back if server.draining], ServerState.READY)
            bad = _addresses(await self._endpoints(), failed) if back else ()
            put = [server for server in servers if server.address in bad and not (server.draining or server.by_hand)]
            await runtime.put(put, ServerState.DRAIN)
        except ProxyError as error:  # what is settled later gives them back
            log.warning("requests could not be given back", service=self._service, error=error.message)

    async def weigh(self, old: Collection[str], new: int, share: int) -> None:
        """Give each old server its weight, and all others theirs: new containers get into those."""
        if (runtime := await self._connected()) is None:
            return
        addresses = _addresses(await self._endpoints(), old)
        for_old, for_new = _weights(len(old), new, share)
        servers = await runtime.servers(self._proxy.all_backends)
        wanted = {server: for_old if server.address in addresses else for_new for server in servers}
        await runtime.weigh({server: weight for server, weight in wanted.items() if server.weight != weight})

    async def counts(self) -> Mapping[Hashable, ServerCount] | None:
        """Return what each server that has a container's address has counted; another process counts from 0 on."""
        try:
            if (runtime := await self._connect()) is None:
                return None
            worker = await runtime.worker()
            servers = await runtime.servers(self._proxy.backends)
            if await runtime.worker() != worker:
                return None
        except ProxyError:
            return None
        there = {address: end.container.id for end in await self._endpoints() for address in end.addresses}
        return {
            (worker, server.backend, server.name, server.address): ServerCount(
                there[server.address], server.counts, server.answer_ms
            )
            for server in servers
            if server.address in there
        }

    async def settle(self, *, waits: bool = True, holds: bool = False) -> None:
        """Leave nothing held or drained behind, but what is not well or is about to go; or hold that."""
        deadline = time.monotonic() + (FORGOTTEN_SECONDS if waits else 0.0)
        try:
            if holds:
                await self._hold_failing()
                return
            while await self._settle() and time.monotonic() < deadline:
                await pause(POLL_SECONDS)
        except ProxyError as error:  # the next round asks again
            log.warning("the proxy could not be settled", service=self._service, error=error.message)

    async def _settle(self) -> bool:
        """Make ready what can be; returns whether a server still has the address of a container that is gone."""
        runtime = await self._connect()
        if runtime is None:
            return False
        servers = await runtime.servers(self._proxy.all_backends)
        # Also what the canary of a release has left that is not the one that runs. No canary gives a weight of 0.
        weighed = [server for server in servers if server.weight not in {0, server.usual_weight}]
        await runtime.weigh({server: server.usual_weight for server in weighed})
        held = [server for server in servers if server.draining]
        if not held:
            return False
        there = await self._endpoints()
        well = _well_addresses(there)
        known = {address for container in there for address in container.addresses}
        # HAProxy may know the address of what is gone for long (`hold nx`); once it is down, nothing is sent there.
        free = [
            server
            for server in held
            if not server.address or server.address in well or (_is_gone(server, known) and server.down)
        ]
        await runtime.put(free, ServerState.READY)
        return any(_is_gone(server, known) and not server.down for server in held)

    async def _hold_failing(self) -> None:
        """Drain what is not well, and what is free: who gets an address there counts as up. Make ready what is well.

        A proxy that was just started learns in its free servers of what is well: until then, these are left alone.
        """
        if (runtime := await self._connect()) is None:
            return
        servers = await runtime.servers(self._proxy.all_backends)
        there = [end for end in await self._endpoints() if serves(end.container)]
        if not there:
            return
        well = frozenset(address for end in there for address in end.addresses)
        known = {(server.backend, server.address) for server in servers}
        knowing = {
            backend
            for backend in self._proxy.all_backends
            if all(any((backend, address) in known for address in end.addresses) for end in there)
        }
        ours = [server for server in servers if not server.by_hand]
        await runtime.put([server for server in ours if server.draining and server.address in well], ServerState.READY)
        others = [server for server in ours if not server.draining and server.address not in well]
        await runtime.put(
            [server for server in others if server.address or server.backend in knowing], ServerState.DRAIN
        )

    async def examine(self, servers: int) -> tuple[str, ...]:
        """Return what is wrong with HAProxy as it runs; nothing where no container of it does."""
        runtime = await self._connect()
        return () if runtime is None else tuple(await find_problems(runtime, self._proxy, servers))

    def _is_away(self) -> str:
        return said("no container of {proxy} runs", proxy=self._proxy.service)


def _addresses(there: Collection[Endpoint], containers: Collection[str]) -> frozenset[str]:
    return frozenset(
        address for container in there if container.container.id in containers for address in container.addresses
    )


def _well_addresses(there: Collection[Endpoint]) -> frozenset[str]:
    return _addresses(there, {end.container.id for end in there if serves(end.container)})


def _is_gone(server: Server, known: Collection[str]) -> bool:
    return bool(server.address) and server.address not in known


def _weights(old: int, new: int, share: int) -> tuple[int, int]:
    """Return the weights of each old server and of each new one, so that all new ones together get a share in percent.

    Without a share all weigh the same.
    """
    if not (share and old and new):
        return 1, 1
    for_old, for_new = (100 - share) * new, share * old
    divisor = math.gcd(for_old, for_new)
    for_old, for_new = for_old // divisor, for_new // divisor
    scale = min(1.0, MOST_WEIGHT / max(for_old, for_new))
    return max(1, round(for_old * scale)), max(1, round(for_new * scale))
