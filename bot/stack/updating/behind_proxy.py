"""Replace containers behind a proxy: what the DeploymentManager and a recovery tell the proxy in front of a service.

Without `x-deploy.proxy`, nothing is done here.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Coroutine, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from roas.concurrency import end_tasks, run_uninterrupted
from roas.errors import ProxyError, ServiceFailedError
from roas.limits import TOLERATED_RESTARTS
from roas.log import get_logger
from roas.messages.message import said
from roas.models.canary import ServerCount
from roas.models.health import ContainerSnapshot, ContainerState
from roas.models.stack import ServiceDefinition
from roas.stack.containers.readiness import Readiness, ServiceReadiness, service_failure
from roas.stack.proxy.proxied_service import ProxiedService, ProxyReport
from roas.stack.service_comparison import serves
from roas.stack.stack import Stack

log = get_logger(__name__)


class BehindProxy:
    """Know which services this process replaces, and what stands in front of each."""

    def __init__(self) -> None:
        self._working: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def working(self, stack: Stack, definition: ServiceDefinition) -> Iterator[None]:
        """Keep `settle_idle` away from a service while its containers are replaced."""
        key = (stack.environment.name, definition.name)
        self._working[key] += 1
        try:
            yield
        finally:
            self._working[key] -= 1

    async def settle_idle(self, stack: Stack, definitions: Iterable[ServiceDefinition], *, waits: bool = False) -> None:
        """Leave nothing behind of what this process does not replace at this moment.

        Only who has the environment to himself `waits`: a replacement could begin, and hold what is made ready here.
        """
        for definition in definitions:
            if not self._working[stack.environment.name, definition.name]:
                await Front(stack, definition).settle(waits=waits)


async def say_nothing(_text: str) -> None:
    """Report to nobody."""


class Front:
    """Tell the proxy in front of one service what becomes of its containers, and `report` what is waited for there.

    Where this is `best_effort`, a proxy that cannot be told stops nothing. How many connections were still open when
    their containers went is `left_open`.
    """

    def __init__(
        self,
        stack: Stack,
        definition: ServiceDefinition,
        report: ProxyReport = say_nothing,
        *,
        best_effort: bool = False,
    ) -> None:
        self._stack = stack
        self._definition = definition
        self._report = report
        self._best_effort = best_effort
        self.left_open = 0

    @property
    def _proxied(self) -> ProxiedService:
        name, proxy = self._definition.name, self._definition.proxy
        return ProxiedService() if proxy is None else self._stack.proxies.in_front_of(name, proxy)

    @property
    def _is_dropped(self) -> bool:
        return self._definition.proxy is not None and self._definition.proxy.is_dropped

    async def hold(self, new: int, *, best_effort: bool = False) -> None:
        """Send nothing to so many that are started from now on: the proxy needs room for them.

        Raises ProxyError unless `best_effort`, with nothing changed.
        """
        try:
            await self._proxied.hold(new)
        except ProxyError as error:
            error.service = self._definition.name
            if not (best_effort or self._best_effort or self._is_dropped):
                raise
            log.warning("nothing is held at the proxy", service=self._definition.name, error=error.message)

    async def admit(self, containers: Iterable[ContainerSnapshot], *, best_effort: bool = False) -> None:
        """Wait until what is well gets requests. Raises ProxyError unless `best_effort`."""
        if not (well := _well(containers)):
            return
        begun = datetime.now(UTC)
        try:
            await self._proxied.admit(well, self._report)
        except ProxyError as error:
            if not (best_effort or self._best_effort or self._is_dropped):
                raise await self._failure_of_proxy(since=begun) or error from error
            log.warning("the proxy does not send requests", service=self._definition.name, error=error.message)

    async def require(self, containers: Iterable[ContainerSnapshot]) -> None:
        """Wait until a proxy that this deployment replaced or started again sends requests to what is well.

        Raises ProxyError, or ServiceFailedError about the proxy itself where that does not run.
        """
        well = _well(containers)
        if not well or self._is_dropped:
            return
        try:
            await self._proxied.require(well, self._report)
        except ProxyError as error:
            raise await self._failure_of_proxy(since=None) or error from error

    async def drain(self, containers: Iterable[ContainerSnapshot], *, even_last: bool = True) -> int:
        """Wait until requests to containers that are about to be stopped have ended; returns what is still open."""
        running = _running(containers)
        return await self._proxied.drain(running, self._report, even_last=even_last) if running else 0

    async def take_out(
        self,
        going: Collection[ContainerSnapshot],
        staying: Collection[ContainerSnapshot],
        *,
        failing: Coroutine[Any, Any, Collection[str]] | None = None,
        seconds: float = 0.0,
    ) -> bool:
        """Let the proxy send requests to what stays, and no more to what goes, until nothing is open there.

        So many `seconds` pass before, in which both serve. Unless this comes to its end, what goes serves on: where
        those that stay are found `failing`, by id, False is returned. Raises ProxyError unless `best_effort`.
        """
        proxied = self._proxied

        async def take() -> int:
            await self.admit(staying)
            if not (running := _running(going)):
                return 0
            others = () if self._best_effort else _well(staying)
            await proxied.watch(others, seconds)
            return await proxied.drain(running, self._report, others=others)

        taking = asyncio.ensure_future(take())
        found = asyncio.ensure_future(failing) if failing is not None else None
        is_out, failed = False, frozenset[str]()
        try:
            await asyncio.wait({taking, found} if found else {taking}, return_when=asyncio.FIRST_COMPLETED)
            if found is not None and found.done():
                failed = frozenset(found.result())
                return False
            self.left_open += taking.result()
            is_out = True
            return True
        finally:
            await end_tasks(*({taking, found} if found else {taking}))
            if not is_out:
                await run_uninterrupted(proxied.give_back([container.id for container in going], failed))

    async def weigh(self, old: Collection[str], new: int, share: int) -> None:
        """Send a share of the requests to so many new containers beside the old ones. Raises ProxyError."""
        try:
            await self._proxied.weigh(old, new, share)
        except ProxyError as error:
            error.service = self._definition.name
            raise

    async def counts(self) -> Mapping[Hashable, ServerCount] | None:
        """Return what each place at the proxy has counted, and for which container; None where it cannot be asked."""
        return await self._proxied.counts()

    async def send_back(self, old: Collection[ContainerSnapshot], failed: Collection[str]) -> None:
        """Send requests to the old containers alone, at once."""
        await self._proxied.give_back([container.id for container in old], frozenset(failed))

    async def settle(self, *, waits: bool = True, holds: bool = False) -> None:
        """Leave nothing held or drained behind; where it `waits`, also of what is just about to be forgotten.

        Where it `holds`, what is not well gets nothing, nor what starts meanwhile.
        """
        await self._proxied.settle(waits=waits, holds=holds)

    def with_left_open(self, reason: str) -> str:
        """Add to the reason why a service is ready how many connections its old containers were stopped with."""
        if not self.left_open:
            return reason
        return said(
            "{reason}; {left} {left|connection|connections} to the old ones {left|was|were} still open "
            "when these were stopped",
            reason=reason,
            left=self.left_open,
        )

    async def _failure_of_proxy(self, *, since: datetime | None) -> ServiceFailedError | None:
        """Return that the proxy itself has failed, with its last log lines, or None where it runs.

        One that was started again and again does not, at last `since` then, though it may be between two ends just now.
        None is of a new one, whose starts all count.
        """
        name = self._definition.proxy.service if self._definition.proxy is not None else ""
        there = [container for container in await self._stack.containers() if container.service == name]
        running = [container for container in there if container.state is ContainerState.RUNNING]
        if any(
            container.restart_count <= TOLERATED_RESTARTS or not _was_started(container, since) for container in running
        ):
            return None
        ended = max(there, key=lambda container: container.restart_count, default=None)
        reason = said("it does not run, and {service} is behind it", service=self._definition.name)
        readiness = ServiceReadiness(Readiness.FAILED, reason, ended.id if ended is not None else None)
        return await service_failure(self._stack, name, readiness)


def _running(containers: Iterable[ContainerSnapshot]) -> list[str]:
    return [container.id for container in containers if container.state is ContainerState.RUNNING]


def _well(containers: Iterable[ContainerSnapshot]) -> list[str]:
    return [container.id for container in containers if serves(container)]


def _was_started(container: ContainerSnapshot, since: datetime | None) -> bool:
    return since is None or (container.started_at is not None and container.started_at >= since)
