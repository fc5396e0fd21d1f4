"""Order services by what they depend on, and start each the moment that its own dependencies are ready."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from roas.concurrency import run_concurrently
from roas.errors import (
    DependencyCycleError,
    FencedOffError,
    JournalUnusableError,
    RoasError,
    RolloutPausedError,
    ServiceFailedError,
)
from roas.messages.message import said
from roas.models.stack import Dependency, DependencyCondition, DependencyKind, ServiceDefinition


@dataclass(slots=True)
class Milestones:
    """Let dependents wait for a service: it was started, is ready, or has failed."""

    started: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    failure: RoasError | None = None

    def fail(self, error: RoasError) -> None:
        """Notify dependents that the service failed."""
        self.failure = error
        self.started.set()
        self.ended.set()

    def succeed(self) -> None:
        """Notify dependents that the service is ready."""
        self.started.set()
        self.ended.set()

    async def reached(self, condition: DependencyCondition) -> None:
        """Wait for a condition. Raises the service's failure."""
        event = self.started if condition is DependencyCondition.STARTED else self.ended
        await event.wait()
        if self.failure is not None:
            raise self.failure


# Start one service; sets `started` on its milestones when its containers run, returns when it is ready.
Work = Callable[[str, Milestones], Awaitable[None]]
# Wait until a service that this run does not touch meets a condition.
Settled = Callable[[Dependency], Awaitable[None]]
# Wait until a probe URL answers.
Probe = Callable[[Dependency], Awaitable[None]]
Warn = Callable[[str], None]
# Report how many seconds a service waited for its dependencies, successfully or not, and its time limit.
Resolved = Callable[[str, float, float], None]


class DependencyCoordinator:
    """Hold the dependency graph of a stack's services."""

    def __init__(self, definitions: Mapping[str, ServiceDefinition]) -> None:
        self._definitions = definitions
        self._dependencies, self.dropped = _open_soft_cycles(definitions)

    def dependencies(self, service: str) -> tuple[Dependency, ...]:
        """Return what a service waits for."""
        return self._dependencies.get(service, ())

    def order(self, services: Iterable[str] | None = None) -> tuple[str, ...]:
        """Return services so that each comes after what it depends on; equals are sorted by name."""
        wanted = set(self._definitions if services is None else services)
        return tuple(name for name in _topological(self._dependencies) if name in wanted)

    def dependents(self, services: Iterable[str]) -> frozenset[str]:
        """Return what comes after services by any but a soft edge, directly or not."""
        found: set[str] = set()
        wanted = set(services)
        while wanted:
            direct = {
                name
                for name, edges in self._dependencies.items()
                if any(edge.on in wanted and edge.kind is not DependencyKind.SOFT for edge in edges)
            }
            wanted = direct - found
            found |= direct
        return frozenset(found)

    async def run(
        self,
        services: Iterable[str],
        work: Work,
        *,
        settled: Settled,
        probe: Probe,
        warn: Warn,
        parallel: bool,
        resolved: Resolved = lambda _service, _seconds, _allowed: None,
        despite_failures: bool = False,
    ) -> None:
        """Start services in data-flow order; without `parallel` one by one, in topological order.

        Raises the first failure, after what is under way has come to a safe point; `despite_failures`, after all that
        do not need what failed.
        """
        ordered = self.order(services)
        run = _Run(self, {name: Milestones() for name in ordered}, work, settled, probe, warn, resolved)
        failures: list[RoasError] = []

        async def bring_up(name: str) -> None:
            try:
                await run.bring_up(name)
            except (FencedOffError, JournalUnusableError, RolloutPausedError):
                raise
            except RoasError as error:
                if not despite_failures:
                    raise
                failures.append(error)

        if parallel:
            await run_concurrently(bring_up(name) for name in ordered)
        else:
            for name in ordered:
                await bring_up(name)
        if failures:
            raise failures[0]


@dataclass(slots=True)
class _Run:
    """Hold the state of one run over the graph."""

    coordinator: DependencyCoordinator
    milestones: Mapping[str, Milestones]
    work: Work
    settled: Settled
    probe: Probe
    warn: Warn
    resolved: Resolved

    async def bring_up(self, service: str) -> None:
        """Wait for what a service needs, do its work, and tell those that wait for it. Raises RoasError."""
        own = self.milestones[service]
        try:
            await self._wait_for_all(service)
            await self.work(service, own)
        except RoasError as error:
            own.fail(error)
            raise
        except BaseException:
            own.fail(ServiceFailedError(said("{service} was not started.", service=service), service=service))
            raise
        own.succeed()

    async def _wait_for_all(self, service: str) -> None:
        """Wait for everything that a service depends on. Raises ServiceFailedError."""
        dependencies = self.coordinator.dependencies(service)
        if not dependencies:
            return
        allowed = max(dependency.timeout_seconds for dependency in dependencies)
        began = time.monotonic()
        try:
            await run_concurrently(self._wait_for(dependency) for dependency in dependencies)
        except RoasError:
            self.resolved(service, time.monotonic() - began, allowed)
            raise
        self.resolved(service, time.monotonic() - began, allowed)

    async def _wait_for(self, dependency: Dependency) -> None:
        try:
            async with asyncio.timeout(dependency.timeout_seconds):
                await self._ready(dependency)
        except (TimeoutError, RoasError) as error:
            if isinstance(error, RolloutPausedError) and dependency.kind is DependencyKind.REQUIRED:
                raise  # a person is asked about that one, and not about whoever needs it
            reason = (
                error.message
                if isinstance(error, RoasError)
                else said("not ready after {seconds} s", seconds=f"{dependency.timeout_seconds:g}")
            )
            match dependency.kind:
                case DependencyKind.SOFT:
                    return
                case DependencyKind.OPTIONAL:
                    self.warn(
                        said(
                            "{service} starts without {on}: {reason}",
                            service=dependency.service,
                            on=dependency.on,
                            reason=reason,
                        )
                    )
                case DependencyKind.REQUIRED:
                    failure = ServiceFailedError(
                        said(
                            "{service} was not started: it needs {on} ({reason}).",
                            service=dependency.service,
                            on=dependency.on,
                            reason=reason,
                        ),
                        hint=said(
                            "Fix {on} first. To start {service} without it, set `kind: optional` for {on} in "
                            "x-deploy.depends_on of {service}.",
                            on=dependency.on,
                            service=dependency.service,
                        ),
                        service=dependency.on,
                        report=error.report if isinstance(error, RoasError) else "",
                    )
                    failure.by_somebody = isinstance(error, ServiceFailedError) and error.by_somebody
                    raise failure from error

    async def _ready(self, dependency: Dependency) -> None:
        condition = DependencyCondition.STARTED if dependency.kind is DependencyKind.SOFT else dependency.condition
        if dependency.on in self.milestones:
            await self.milestones[dependency.on].reached(condition)
        elif dependency.kind is not DependencyKind.SOFT:
            await self.settled(dependency)
        if dependency.probe is not None:
            await self.probe(dependency)


def _open_soft_cycles(
    definitions: Mapping[str, ServiceDefinition],
) -> tuple[dict[str, tuple[Dependency, ...]], tuple[Dependency, ...]]:
    """Drop soft edges that close a cycle; a cycle of hard edges is an error that names it."""
    edges = {
        name: tuple(dependency for dependency in definition.dependencies if dependency.on in definitions)
        for name, definition in definitions.items()
    }
    dropped: list[Dependency] = []
    while True:
        try:
            _topological(edges)
        except CycleError as error:
            cycle = [str(name) for name in error.args[1]]
            soft = _soft_edge_in(edges, cycle)
            if soft is None:
                raise DependencyCycleError(
                    said("Services depend on each other in a cycle: {cycle}.", cycle=" → ".join(cycle)),
                    hint=said("Remove one of these from depends_on, or make it `soft` in x-deploy."),
                ) from error
            dropped.append(soft)
            edges[soft.service] = tuple(edge for edge in edges[soft.service] if edge != soft)
        else:
            return edges, tuple(dropped)


def _soft_edge_in(edges: Mapping[str, tuple[Dependency, ...]], cycle: list[str]) -> Dependency | None:
    members = set(cycle)
    candidates = (edge for name in sorted(members) for edge in edges[name] if edge.on in members)
    return next((edge for edge in candidates if edge.kind is DependencyKind.SOFT), None)


def _topological(edges: Mapping[str, tuple[Dependency, ...]]) -> tuple[str, ...]:
    """Sort so that dependencies come first; graphlib takes predecessors, which is what `depends_on` lists."""
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for name in sorted(edges):
        sorter.add(name, *sorted(edge.on for edge in edges[name]))
    sorter.prepare()
    ordered: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        ordered += ready
        sorter.done(*ready)
    return tuple(ordered)
