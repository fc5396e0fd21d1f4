"""Apply services of a model: what execution and rollback have in common."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace

from roas.deploy.context import DeploymentContext, observation_seconds
from roas.deploy.data.backups import back_up_before
from roas.deploy.dependencies import DependencyCoordinator, Milestones
from roas.errors import RoasError, ServiceFailedError
from roas.messages.message import said
from roas.models.canary import CanaryVerdict
from roas.models.deployment import Operation, ServiceStep
from roas.models.events import DependenciesResolved, ServiceStarted
from roas.models.health import AT_WORK
from roas.models.rollout import ALL_AT_ONCE, FailureAction, RolloutRecord, RolloutState
from roas.models.stack import PROBE_TIMEOUT_SECONDS, Dependency, ServiceDefinition
from roas.stack.containers.readiness import wait_until_ready
from roas.stack.containers.watch import ContainerWatch
from roas.stack.updating.rollout_rules import is_exceeded
from roas.stack.updating.service_rollout import paused_error, warn_of_tolerated
from roas.stack.updating.service_update import ServiceUpdate

# What a service was found to be before it counts as restored.
RESTORED_AS = {ServiceStep.HEALTHY: said("healthy"), ServiceStep.UNVERIFIED: said("no health check")}


@dataclass(slots=True)
class ServiceRolloutLog:
    """Follow the rollout of one service within a deployment."""

    context: DeploymentContext
    definition: ServiceDefinition
    announce: Callable[[], Awaitable[None]]

    @property
    def record(self) -> RolloutRecord | None:
        """Return what an earlier attempt, or a pause, left of this rollout."""
        return self.context.rollout(self.definition.name)

    @property
    def tolerated(self) -> frozenset[str]:
        """Return the new containers by which the service is not judged any more.

        Where one too many failed, and the process died before that led to anything, they are found once more.
        """
        record = self.record
        if record is None:
            return frozenset()
        return frozenset(record.accepted) if is_exceeded(self.definition.update, record) else record.tolerated

    @property
    def monitor_seconds(self) -> float:
        """Return for how long a new replica that was ready is watched."""
        return observation_seconds(self.definition, self.context.environment)

    @property
    def seconds_left(self) -> float | None:
        """Return how long new replicas have to become ready; None without a limit."""
        return self.context.seconds_left

    @property
    def may_pause(self) -> bool:
        """Return whether a person can be asked: not in the middle of the way back from a failure."""
        return not self.context.failed

    @property
    def others_are_judged(self) -> bool:
        """Return whether canaries of other services are yet to come to a verdict."""
        running = self.context.deployment.in_canary - {self.definition.name}
        canaries = [found.canary for name in running if (found := self.context.rollout(name)) is not None]
        return any(canary is not None and canary.verdict is not CanaryVerdict.INCONCLUSIVE for canary in canaries)

    async def save(self, record: RolloutRecord) -> None:
        """Write how far it has come, before what follows from it is done."""
        await self.context.save_rollout(self.definition.name, replace(record, back=self.context.failed))

    async def step(self, step: ServiceStep, detail: str = "") -> None:
        """Report a step of the service."""
        await self.context.report(self.definition.name, step, detail)

    async def started(self) -> None:
        """Note that containers of the service were started."""
        await self.announce()

    async def read_figure(self, query: str) -> float | None:
        """Return the one value of a query of Prometheus; None where there is none."""
        return await self.context.components.read_figure(query)

    def allow(self, seconds: float) -> None:
        """Allow the phase more time."""
        self.context.allow(seconds)

    def watched_from(self, at: float) -> None:
        """Note that the new replicas are watched from then on, and that the old ones wait for that."""
        self.context.watched_from[self.definition.name] = at

    def warn(self, text: str) -> None:
        """Keep a warning for the outcome."""
        self.context.warn(text)

    async def late_failure(self, container_id: str | None, error: RoasError) -> RoasError | None:
        """Count a replica that failed after its rollout, in the time in which it is watched.

        Returns what is to be raised, or None where the policy lets it pass. What was not rolled out fails at once.
        """
        policy, record = self.definition.update, self.record
        if record is None or container_id is None or policy == ALL_AT_ONCE:
            return error
        record = replace(record, failed=tuple(dict.fromkeys((*record.failed, container_id))))
        exceeded = is_exceeded(policy, record)
        pauses = exceeded and policy.failure_action is FailureAction.PAUSE and self.may_pause
        await self.save(replace(record, state=RolloutState.PAUSED) if pauses else record)
        if not exceeded:
            warn_of_tolerated(self.definition, record, self)
            return None
        if pauses:
            await self.step(ServiceStep.PAUSED)
            return paused_error(self.definition.name, record, error)
        return error


async def no_news() -> None:
    """Say nothing of a start: what is only watched was started before."""


# Between two tries of a probe that an event does not wake earlier.
PROBE_INTERVAL_SECONDS = 0.5


@dataclass(slots=True)
class Applier:
    """Apply a model to single services, and wait for their dependencies."""

    context: DeploymentContext
    watch: ContainerWatch
    definitions: dict[str, ServiceDefinition]
    model_hash: str
    restarts: frozenset[str] = frozenset()
    model_before: str = ""
    keeps: bool = False

    @property
    def coordinator(self) -> DependencyCoordinator:
        """Return the graph of the model's services."""
        return DependencyCoordinator(self.definitions)

    async def apply_all(self, services: Iterable[str], *, restoring: bool = False) -> None:
        """Start services, each when its own dependencies are ready. Raises the first failure.

        What is restored goes on beside a failure, whose old containers run again: kept, or made by the `model_before`.
        """
        services, stops = frozenset(services), self.context.components.state.stops
        for service in services & (await stops.of(self.context.environment.name)).keys():
            await stops.lift(self.context.environment.name, service, self.context.fence)

        async def bring_up(service: str, milestones: Milestones) -> None:
            await self._apply(service, milestones, restoring=restoring)
            if restoring:
                ready = RESTORED_AS.get(self.context.deployment.by_service[service].step, "")
                await self.context.report(service, ServiceStep.RESTORED, ready)

        await self.coordinator.run(
            services,
            bring_up,
            settled=self._settled,
            probe=self._probe,
            warn=self.context.warn,
            parallel=self.context.parallel,
            resolved=self._resolved,
            despite_failures=restoring,
        )

    async def _apply(self, service: str, milestones: Milestones, *, restoring: bool) -> None:
        """Start one service; a request to cancel interrupts the wait, not the creation of containers."""
        context, definition = self.context, self.definitions[service]

        async def started() -> None:
            await self._started(service, milestones)

        context.checkpoint()
        if definition.one_shot:
            await back_up_before(context, self.definitions, service)
        known = context.deployment.by_service.get(service)
        try:
            await context.run_unless_cancelled(
                context.components.manager.apply_service(
                    context.stack,
                    self.watch,
                    ServiceUpdate(
                        self.model_hash,
                        definition,
                        context.report,
                        started,
                        restart=service in self.restarts,
                        recreate=self._is_forced(service),
                        restoring=restoring,
                        rollout=ServiceRolloutLog(context, definition, started),
                        deployment=context.deployment.id,
                        model_before=self.model_before,
                        keeps=self.keeps,
                        well_before=frozenset(known.well_containers if known is not None else ()),
                    ),
                )
            )
        except ServiceFailedError as error:
            await context.report(error.service or service, ServiceStep.FAILED, error.message)
            raise

    def _is_forced(self, service: str) -> bool:
        """Return whether a Swarm is told to replace the tasks of a service that are as they should be."""
        is_asked_for = self.context.deployment.request.operation is Operation.RESTART
        return is_asked_for and self.context.stack.replaces_by_itself and service in self.restarts

    async def _started(self, service: str, milestones: Milestones) -> None:
        self.context.publish(ServiceStarted(service=service, **self.context.origin))
        milestones.started.set()

    def _resolved(self, service: str, seconds: float, allowed: float) -> None:
        self.context.publish(
            DependenciesResolved(
                service=service, duration_seconds=round(seconds, 3), allowed_seconds=allowed, **self.context.origin
            )
        )

    async def _settled(self, dependency: Dependency) -> None:
        """Wait until a service that is not touched is ready. Raises ServiceFailedError, RolloutPausedError.

        Of this very bot's service only its own container counts: the one beside it is to go, or has failed already. A
        job that is not to run, and does not, is done.
        """
        there = self.watch.of_service(dependency.on)
        if self.definitions[dependency.on].one_shot and not any(container.state in AT_WORK for container in there):
            return
        own = await self.context.components.own_container(self.context.environment)
        only = own.id if own is not None and own.service == dependency.on else None
        log = ServiceRolloutLog(self.context, self.definitions[dependency.on], no_news)
        while (failure := await self._not_ready(dependency.on, only, log)) is not None:
            # One that was replaced before, perhaps, and is watched: its policy says what that leads to.
            if (refused := await log.late_failure(failure.container_id, failure)) is not None:
                raise refused

    async def _not_ready(self, service: str, only: str | None, log: ServiceRolloutLog) -> ServiceFailedError | None:
        """Wait until a service is ready without what failed and was let pass; returns why it does not become so.

        It was there when the changes were found: nobody here would make it.
        """
        try:
            await wait_until_ready(
                self.context.stack,
                self.definitions[service],
                self.watch,
                only=only,
                without=log.tolerated,
                were_there=True,
            )
        except ServiceFailedError as error:
            return error
        return None

    async def _probe(self, dependency: Dependency) -> None:
        """Ask a dependency's probe URL until it answers; the caller limits the time.

        A failing probe is reported only after its grace period (`startup_delay`).
        """
        grace = asyncio.get_running_loop().time() + dependency.startup_delay_seconds
        warned = False
        while not await self._answers(dependency):
            if not warned and asyncio.get_running_loop().time() >= grace:
                self.context.warn(
                    said(
                        "{on} did not answer {probe} within its start-up delay.",
                        on=dependency.on,
                        probe=dependency.probe,
                    )
                )
                warned = True
            await self.watch.changed_within(PROBE_INTERVAL_SECONDS)

    async def _answers(self, dependency: Dependency) -> bool:
        url = dependency.probe or ""
        answer = await self.context.components.prober.probe(self.context.environment, url, PROBE_TIMEOUT_SECONDS)
        if answer is None:
            self.context.warn(said("{url} cannot be probed from here; the container's own health decides.", url=url))
        return answer is not False
