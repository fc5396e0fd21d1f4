"""Replace containers behind a proxy: what the DeploymentManager and a recovery tell the proxy in front of a service.

Without `x-deploy.proxy`, nothing is done here.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from roas.concurrency import end_tasks, run_uninterrupted
from roas.errors import ProxyError, ServiceFailedError
from roas.log import get_logger
from roas.messages.message import said
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.stack import ServiceDefinition
from roas.stack.comparison import WantedService
from roas.stack.containers.readiness import TOLERATED_RESTARTS, Readiness, ServiceReadiness, service_failure
from roas.stack.proxied_service import ProxiedService, ProxyReport
from roas.stack.stack import Stack

log = get_logger(__name__)

NOT_WELL = frozenset({HealthStatus.STARTING, HealthStatus.UNHEALTHY})


class BehindProxy:
    """Hold, admit, drain and settle the containers of services that a proxy stands in front of."""

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

    async def hold(
        self,
        stack: Stack,
        wanted: WantedService,
        seen: Iterable[ContainerSnapshot],
        *,
        best_effort: bool,
        at_most: int | None = None,
    ) -> None:
        """Send nothing to what is started from now on. Raises ProxyError unless `best_effort`, with nothing changed.

        The proxy needs room for all that are missing, or for those that are started `at_most` before others go.
        """
        definition = wanted.definition
        if (proxied := self._proxied(stack, definition)) is None:
            return
        try:
            missing = max(0, definition.replicas - sum(map(wanted.fits, seen)))
            await proxied.hold(missing if at_most is None else min(missing, at_most))
        except ProxyError as error:
            error.service = definition.name
            if not (best_effort or _is_dropped(definition)):
                raise
            log.warning("nothing is held at the proxy", service=definition.name, error=error.message)

    async def admit(
        self,
        stack: Stack,
        definition: ServiceDefinition,
        containers: Iterable[ContainerSnapshot],
        report: ProxyReport,
        *,
        best_effort: bool,
    ) -> None:
        """Wait until what is well gets requests. Raises ProxyError unless `best_effort`."""
        well = _well(containers)
        if not well or (proxied := self._proxied(stack, definition)) is None:
            return
        begun = datetime.now(UTC)
        try:
            await proxied.admit(well, report)
        except ProxyError as error:
            if not (best_effort or _is_dropped(definition)):
                raise await self._failure_of_proxy(stack, definition, since=begun) or error from error
            log.warning("the proxy does not send requests", service=definition.name, error=error.message)

    async def require(
        self,
        stack: Stack,
        definition: ServiceDefinition,
        containers: Iterable[ContainerSnapshot],
        report: ProxyReport,
    ) -> None:
        """Wait until a proxy that this deployment replaced or started again sends requests to what is well.

        Raises ProxyError, or ServiceFailedError about the proxy itself where that does not run.
        """
        well = _well(containers)
        if not well or _is_dropped(definition) or (proxied := self._proxied(stack, definition)) is None:
            return
        try:
            await proxied.require(well, report)
        except ProxyError as error:
            raise await self._failure_of_proxy(stack, definition, since=None) or error from error

    async def drain(
        self,
        stack: Stack,
        definition: ServiceDefinition,
        containers: Collection[ContainerSnapshot],
        report: ProxyReport,
        *,
        even_last: bool = True,
    ) -> int:
        """Wait until requests to containers that are about to be stopped have ended; returns what is still open."""
        running = _running(containers)
        if not running or (proxied := self._proxied(stack, definition)) is None:
            return 0
        return await proxied.drain(running, report, even_last=even_last)

    async def take_out(
        self,
        stack: Stack,
        definition: ServiceDefinition,
        going: Collection[ContainerSnapshot],
        staying: Collection[ContainerSnapshot],
        report: ProxyReport,
        *,
        best_effort: bool,
        failing: Coroutine[Any, Any, Collection[str]] | None = None,
        seconds: float = 0.0,
    ) -> int | None:
        """Let the proxy send requests to what stays, and no more to what goes, until nothing is open there.

        At least so many `seconds` pass in which what goes can take its requests back. It does so unless this comes to
        its end: where those that stay are found `failing`, by id, None is returned. Returns how many connections were
        still open. Raises ProxyError unless `best_effort`.
        """
        proxied = self._proxied(stack, definition)

        async def take() -> int:
            await self.admit(stack, definition, staying, report, best_effort=best_effort)
            if proxied is None or not (running := _running(going)):
                return 0
            others = () if best_effort else _well(staying)
            return await proxied.drain(running, report, others=others, seconds=seconds)

        taking = asyncio.ensure_future(take())
        found = asyncio.ensure_future(failing) if failing is not None else None
        is_out, failed = False, frozenset[str]()
        try:
            await asyncio.wait({taking, found} if found else {taking}, return_when=asyncio.FIRST_COMPLETED)
            if found is not None and found.done():
                failed = frozenset(found.result())
                return None
            left = taking.result()
            is_out = True
            return left
        finally:
            await end_tasks(*({taking, found} if found else {taking}))
            if not is_out and proxied is not None:
                await run_uninterrupted(proxied.give_back([one.id for one in going], failed))

    async def settle(
        self, stack: Stack, definition: ServiceDefinition, *, waits: bool = True, holds: bool = False
    ) -> None:
        """Leave nothing held or drained behind; where it `waits`, also of what is just about to be forgotten.

        Where it `holds`, what is not well gets nothing, nor what starts meanwhile.
        """
        if (proxied := self._proxied(stack, definition)) is not None:
            await proxied.settle(waits=waits, holds=holds)

    async def settle_idle(self, stack: Stack, definitions: Iterable[ServiceDefinition], *, waits: bool = False) -> None:
        """Leave nothing behind of what this process does not replace at this moment.

        Only who has the environment to himself `waits`: a replacement could begin, and hold what is made ready here.
        """
        for definition in definitions:
            if not self._working[stack.environment.name, definition.name]:
                await self.settle(stack, definition, waits=waits)

    async def _failure_of_proxy(
        self, stack: Stack, definition: ServiceDefinition, *, since: datetime | None
    ) -> ServiceFailedError | None:
        """Return that the proxy itself has failed, with its last log lines, or None where it runs.

        One that was started again and again does not, at last `since` then, though it may be between two ends just now.
        None is of a new one, whose starts all count.
        """
        name = definition.proxy.service if definition.proxy is not None else ""
        there = [one for one in await stack.containers() if one.service == name]
        running = [one for one in there if one.state is ContainerState.RUNNING]
        if any(one.restart_count <= TOLERATED_RESTARTS or not _was_started(one, since) for one in running):
            return None
        ended = max(there, key=lambda one: one.restart_count, default=None)
        reason = said("it does not run, and {service} is behind it", service=definition.name)
        readiness = ServiceReadiness(Readiness.FAILED, reason, ended.id if ended is not None else None)
        return await service_failure(stack, name, readiness)

    def _proxied(self, stack: Stack, definition: ServiceDefinition) -> ProxiedService | None:
        if definition.proxy is None:
            return None
        return stack.proxies.in_front_of(definition.name, definition.proxy)


def _running(containers: Iterable[ContainerSnapshot]) -> list[str]:
    return [one.id for one in containers if one.state is ContainerState.RUNNING]


def _well(containers: Iterable[ContainerSnapshot]) -> list[str]:
    """Return the ids of those that may get requests."""
    return [one.id for one in containers if one.state is ContainerState.RUNNING and one.health not in NOT_WELL]


def _was_started(container: ContainerSnapshot, since: datetime | None) -> bool:
    return since is None or (container.started_at is not None and container.started_at >= since)


def _is_dropped(definition: ServiceDefinition) -> bool:
    return definition.proxy is not None and definition.proxy.is_dropped


def still_open(reason: str, left: int) -> str:
    """Add to the reason why a service is ready how many connections its old containers were stopped with."""
    if not left:
        return reason
    return said(
        "{reason}; {left} {left|connection|connections} to the old ones {left|was|were} still open "
        "when these were stopped",
        reason=reason,
        left=left,
    )
