"""Hold what the phases of one deployment share, and record each step before it is taken."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from roas.concurrency import end_tasks
from roas.deploy.changes import Scope, brought_services, replaced_before
from roas.deploy.components import Components
from roas.deploy.kept_plans import PlannedDeployment
from roas.deploy.own_service import OwnService
from roas.deploy.proxy_changes import with_dropped_proxies, with_proxies
from roas.deploy.release_keeper import ReleaseKeeper
from roas.errors import DeploymentCancelledError, ReleaseNotRestorableError
from roas.events import EventBus
from roas.messages.message import said
from roas.models.actor import Actor
from roas.models.deployment import (
    Deployment,
    DeploymentKind,
    Operation,
    PhaseResult,
    PhaseStatus,
    Problem,
    ServiceProgress,
    ServiceStep,
)
from roas.models.environment import Environment
from roas.models.events import (
    DeploymentEnded,
    DeploymentEvent,
    DeploymentOrigin,
    PhaseChanged,
    ServiceProgressed,
    origin,
)
from roas.models.facts import OwnContainer
from roas.models.health import ContainerSnapshot
from roas.models.phases import Coordination, PhaseName
from roas.models.release import Release
from roas.models.rollout import Pause, RolloutRecord
from roas.models.stack import ServiceDefinition
from roas.models.state_change import ChangeType, StateChange
from roas.models.swarm import QuorumLosses
from roas.stack.containers.watch import ContainerWatch
from roas.stack.stack import Stack
from roas.state.transaction import Fence

# Nothing but time tells that a service without a health check goes on running.
UNVERIFIED_OBSERVATION_SECONDS = 30.0
CRITICAL_OBSERVATION_SECONDS = 10.0
DEFAULT_OBSERVATION_SECONDS = 5.0  # Swarm's own default for update_config.monitor


def observation_seconds(definition: ServiceDefinition, environment: Environment) -> float:
    """Return how long a service is watched once it is ready.

    That is what the environment says, or else what fits its kind, and never less than its `update_config.monitor`. What
    users come to through a proxy counts as critical: a crash soon after its start is to be seen. What has no replica,
    or ends, is not watched.
    """
    if definition.one_shot or not definition.replicas:
        return 0.0
    window = environment.observation_seconds
    if window is None:
        needed = is_critical(definition, environment) or definition.proxy is not None
        window = CRITICAL_OBSERVATION_SECONDS if needed else DEFAULT_OBSERVATION_SECONDS
        if not definition.has_health_check:
            window = UNVERIFIED_OBSERVATION_SECONDS
    return max(window, definition.monitor_seconds or 0.0)


def is_critical(definition: ServiceDefinition, environment: Environment) -> bool:
    """Return whether a stack cannot do without a service."""
    return definition.critical or definition.name in environment.critical_services


SOURCE = "orchestrator"
# Progress within these (layers of a pull) is saved at most so often; every intent to touch what runs always is.
PROGRESSING = frozenset({ServiceStep.PULLING, ServiceStep.BUILDING})
PROGRESS_INTERVAL_SECONDS = 1.0
READY_STEPS = frozenset({ServiceStep.HEALTHY, ServiceStep.UNVERIFIED})
# What is left of a phase's limit when a rollout gives up what it waits for.
ENDING_SECONDS = 3.0
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Ready:
    """Hold when a service was ready, on the monotonic clock, and how its containers were then."""

    at: float
    containers: tuple[ContainerSnapshot, ...]


@dataclass(slots=True)
class DeploymentContext:
    """Run one deployment: what it is, the right to change it, and how far it has come."""

    components: Components
    environment: Environment
    coordination: Coordination
    deployment: Deployment
    fence: Fence
    parallel: bool
    pause_others: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    cancel: asyncio.Event = field(default_factory=asyncio.Event)
    decided: asyncio.Event = field(default_factory=asyncio.Event)
    backing_up: asyncio.Lock = field(default_factory=asyncio.Lock)
    superseded: asyncio.Event = field(default_factory=asyncio.Event)
    superseded_by: Actor | None = None
    observed: Mapping[str, ServiceDefinition] = field(default_factory=dict)
    ready: dict[str, Ready] = field(default_factory=dict)
    watched_from: dict[str, float] = field(default_factory=dict)  # services whose old replicas wait while it is watched
    planned: PlannedDeployment | None = None  # what was confirmed
    restoring: bool = False
    absence_told: QuorumLosses = field(default_factory=QuorumLosses)  # as far as it was said
    was_away: bool = False  # the engine, or a Swarm's quorum, in a phase until now
    release: Release | None = None
    model_hash: str | None = None
    is_whole: bool = False  # all of the release was brought back, and looked at
    watch: ContainerWatch | None = None
    limit: asyncio.Timeout | None = None
    warnings: list[str] = field(default_factory=list)
    moved_at: float = field(default_factory=time.monotonic)  # when it took a step last
    saved_at: dict[str, float] = field(default_factory=dict)  # when progress of a service was saved last

    def request_stop(self) -> None:
        """Allow cancellation at the next safe point; once the old release is being restored, that is completed."""
        if not self.restoring:
            self.cancel.set()

    def supersede(self, actor: Actor) -> None:
        """End the watch of the release: somebody asks for something newer."""
        self.superseded_by = self.superseded_by or actor
        self.superseded.set()

    def restore(self) -> None:
        """Disable cancellation from here on: a rollback is what a cancellation leads to, and it cannot stop midway."""
        self.restoring = True
        self.observed = {}
        self.cancel = asyncio.Event()

    def __post_init__(self) -> None:
        """Continue with the warnings of the process that ran the deployment before."""
        of_phases = (warning for phase in self.deployment.phases for warning in phase.warnings)
        for warning in (*self.deployment.warnings, *of_phases):
            self.warn(warning)

    @property
    def stack(self) -> Stack:
        """Return the stack of the environment that is deployed."""
        return self.components.stacks.of(self.environment)

    @property
    def keeper(self) -> ReleaseKeeper:
        """Return what keeps the releases of the environment."""
        return ReleaseKeeper(self.stack, self.components.state, self.fence)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[ContainerWatch]:
        """Provide the watch of the environment's containers: one for all phases, for as long as none of them fails."""
        try:
            if self.watch is None:
                self.watch = ContainerWatch(self.stack)
                await self.watch.__aenter__()
            yield self.watch
        except BaseException:
            await self.end_watch()
            raise

    async def end_watch(self) -> None:
        """End the watch, if there is one."""
        watch, self.watch = self.watch, None
        if watch is not None:
            await watch.__aexit__(None, None, None)

    def allow(self, seconds: float) -> None:
        """Move the limit of the phase that runs; one that has passed stays passed."""
        if self.limit is not None and not self.limit.expired() and (ends := self.limit.when()) is not None:
            self.limit.reschedule(ends + seconds)

    def allow_drain(self, definition: ServiceDefinition | None) -> None:
        """Allow the phase the time for which open connections to a service's old containers are waited for."""
        if definition is not None and definition.proxy is not None:
            self.allow(definition.proxy.limit_seconds)

    @property
    def seconds_left(self) -> float | None:
        """Return how long the phase that runs has, less what it takes to write how it ended; None without a limit."""
        ends = self.limit.when() if self.limit is not None else None
        return None if ends is None else max(0.0, ends - asyncio.get_running_loop().time() - ENDING_SECONDS)

    def checkpoint(self) -> None:
        """Stop here if cancellation was requested: a safe point. Raises DeploymentCancelledError."""
        if self.cancel.is_set():
            raise DeploymentCancelledError(said("The deployment was cancelled."))

    async def run_unless_cancelled(self, work: Awaitable[Result]) -> Result:
        """Await work that may be given up at any moment. Raises DeploymentCancelledError when it was."""
        task = asyncio.ensure_future(work)
        cancelled = asyncio.create_task(self.cancel.wait())
        try:
            await asyncio.wait({task, cancelled}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                self.checkpoint()
            return task.result()
        finally:
            await end_tasks(task, cancelled)

    def warn(self, warning: str) -> None:
        """Keep a warning for the outcome; the same warning is kept once."""
        if warning not in self.warnings:
            self.warnings.append(warning)

    @property
    def origin(self) -> DeploymentOrigin:
        """Return what every event of this deployment has."""
        return origin(self.deployment, SOURCE)

    def publish(self, event: DeploymentEvent) -> None:
        """Publish an event on the bus."""
        self.components.bus.publish(event)

    async def update(self, **changes: object) -> None:
        """Write fields of the deployment's own record. Raises FencedOffError."""
        self.deployment = replace(self.deployment, **changes)  # type: ignore[arg-type]
        self.moved_at = time.monotonic()
        await self.components.state.deployments.update(self.deployment, self.fence)

    async def record_failure(self, problem: Problem) -> None:
        """Write to the history why the deployment failed. Raises FencedOffError."""
        change = StateChange(
            ChangeType.ERROR_OCCURRED,
            SOURCE,
            self.environment.name,
            self.deployment.id,
            new=problem.key,
            metadata={"message": problem.message, "service": problem.service},
            correlation_id=self.deployment.correlation_id,
        )
        await self.components.state.record(change, self.fence)

    async def set_pauses(self, pauses: tuple[Pause, ...], *, paused: bool) -> None:
        """Write that the deployment waits for a person, or that it goes on. Raises FencedOffError."""
        self.deployment = replace(self.deployment, pauses=pauses)
        self.moved_at = time.monotonic()
        await self.components.state.deployments.set_partial(self.deployment, self.fence, partial=paused)

    async def save_phases(self, *phases: PhaseResult) -> None:
        """Write how far phases have come, in one transaction, then publish it on the bus. Raises FencedOffError."""
        known = {result.name: result for result in (*self.deployment.phases, *phases)}
        self.deployment = replace(self.deployment, phases=tuple(known.values()))
        self.moved_at = time.monotonic()
        await self.components.state.deployments.save_phases(self.deployment, phases, self.fence)
        for phase in phases:
            told = {name: getattr(phase, name) for name in ("status", "attempts", "duration_seconds", "summary")}
            self.publish(PhaseChanged(phase=phase.name, **told, **self.origin))

    async def report(self, service: str, step: ServiceStep, detail: str = "", fraction: float | None = None) -> None:
        """Save the progress of a service, then publish it. Raises FencedOffError.

        Progress within a pull or a build is saved about once a second.
        """
        known = self.deployment.by_service
        old = known.get(service, ServiceProgress(service))
        watched_until = self._note_ready(service) if step in READY_STEPS else None
        progress = replace(old, step=step, detail=detail, fraction=fraction, watched_until=watched_until)
        self.deployment = replace(self.deployment, services=tuple((known | {service: progress}).values()))
        self.moved_at = now = time.monotonic()
        is_within = old.step is step and step in PROGRESSING
        if not is_within or now - self.saved_at.get(service, 0.0) >= PROGRESS_INTERVAL_SECONDS:
            self.saved_at[service] = now
            await self.components.state.deployments.save_service(self.deployment, progress, self.fence)
        self._publish_progress(progress)

    def _note_ready(self, service: str) -> datetime | None:
        """Watch a service from now on; returns until when, where nothing but that tells that it is well."""
        definition = self.observed.get(service)
        if definition is None:
            return None
        containers = () if self.watch is None else self.watch.of_service(service)
        began = self.watched_from.pop(service, time.monotonic())
        self.ready[service] = Ready(began, containers)
        if definition.has_health_check or definition.one_shot:
            return None
        return datetime.now(UTC) + timedelta(seconds=observation_seconds(definition, self.environment))

    async def watch_again(self, service: str) -> None:
        """Watch a service from now on: it was ready, or became so again, unseen by this process."""
        progress = self.deployment.by_service[service]
        until = self._note_ready(service)
        if until is not None:
            await self.plan_services([replace(progress, watched_until=until)])
            self._publish_progress(progress)

    def _publish_progress(self, progress: ServiceProgress) -> None:
        fields = {name: getattr(progress, name) for name in ("service", "step", "detail", "fraction")}
        self.publish(ServiceProgressed(**fields, **self.origin))

    async def save_rollout(self, service: str, rollout: RolloutRecord) -> None:
        """Write how far the rollout of a service has come. Raises FencedOffError."""
        known = self.deployment.by_service
        await self.plan_services([replace(known.get(service, ServiceProgress(service)), rollout=rollout)])

    async def save_bake(self, service: str, rollout: RolloutRecord) -> None:
        """Write how far the bake of a service has come, then publish it. Raises FencedOffError."""
        await self.save_rollout(service, rollout)
        self._publish_progress(next(item for item in self.deployment.services if item.service == service))

    def rollout(self, service: str) -> RolloutRecord | None:
        """Return how far the rollout of a service has come; of one that went the other way, nothing."""
        found = next((progress.rollout for progress in self.deployment.services if progress.service == service), None)
        return found if found is not None and found.back == self.failed else None

    @property
    def failed(self) -> bool:
        """Return whether it is on the way back from a failure."""
        return self.deployment.problem is not None

    async def definitions_there(self, model_hash: str) -> dict[str, ServiceDefinition]:
        """Read the definitions as they count on the way there, which is a way back where a rollback was asked for."""
        found = await self.definitions(model_hash)
        if self.deployment.request.kind is not DeploymentKind.ROLLBACK:
            return found
        return {name: definition.for_rollback() for name, definition in found.items()}

    async def report_all(self, services: Iterable[str], step: ServiceStep) -> None:
        """Save the same intent for several services, in one transaction, then publish it. Raises FencedOffError."""
        known = self.deployment.by_service
        old = (known.get(service, ServiceProgress(service)) for service in services)
        progress = [replace(service_progress, step=step, detail="", fraction=None) for service_progress in old]
        await self.plan_services(progress)
        for service_progress in progress:
            self._publish_progress(service_progress)

    async def plan_services(self, planned: Iterable[ServiceProgress]) -> None:
        """Write what is planned for services, in one transaction. Raises FencedOffError."""
        planned = tuple(planned)
        services = {progress.service: progress for progress in (*self.deployment.services, *planned)}
        self.deployment = replace(self.deployment, services=tuple(services.values()))
        self.moved_at = time.monotonic()
        await self.components.state.deployments.save_services(self.deployment, planned, self.fence)

    async def definitions(self, model_hash: str) -> dict[str, ServiceDefinition]:
        """Read from a stored model how each service is to be updated and judged."""
        return dict(self.stack.definitions(await self.stack.load_model(model_hash)))

    async def definitions_to_apply(self, model_hash: str) -> dict[str, ServiceDefinition]:
        """Read the definitions with the proxies that only the other release has: these are told once more.

        No canary holds up a hotfix.
        """
        others: list[Mapping[str, ServiceDefinition]] = []
        for release in await self._releases():
            if release.model_hash == model_hash:
                continue
            with suppress(ReleaseNotRestorableError):  # what is not kept any more says nothing
                model = await self.stack.load_model(release.model_hash)
                others.append(with_proxies(self.stack, model))
        found = with_dropped_proxies(await self.definitions(model_hash), *others)
        if self.deployment.request.kind is DeploymentKind.DEPLOY:
            return found
        return {name: replace(definition, canary=None) for name, definition in found.items()}

    async def name_images(self, model_hash: str) -> None:
        """Let the names that the stack's files have for images mean those of a model: Compose goes by the files."""
        left = await self.stack.images.give_names(model_hash)
        for name in sorted({*left.values()}):
            self.warn(
                said(
                    "{image} keeps its meaning on this machine, since a container of another project uses it: "
                    "`docker compose up -d` makes {services} of that image.",
                    image=name,
                    services=", ".join(sorted(service for service, value in left.items() if value == name)),
                )
            )

    async def scope(self) -> Scope:
        """Return what the deployment may touch on the way that it is on, there or back."""
        if self.failed or self.deployment.request.kind is DeploymentKind.ROLLBACK:
            is_whole = self.failed and self.deployment.request.operation is None
            named = frozenset() if is_whole else frozenset(self.deployment.request.services)
            return Scope(named=named, moved=await self.services_before(), goes_back=True)
        released = await self.components.state.releases.applied(self.environment.name)
        named = frozenset(self.deployment.request.services)
        is_restart = self.deployment.request.operation is Operation.RESTART
        return Scope(
            named=named,
            restarted=named - replaced_before(self.deployment) if is_restart else frozenset(),
            moved=await self.services_before(),
            released=None if released is None else await self.stack.load_model(released.model_hash),
            emptied=any(progress.step is ServiceStep.REMOVED for progress in self.deployment.services),
        )

    async def services_before(self) -> frozenset[str]:
        """Return the services of the releases between which the deployment moves: those are the bot's to remove."""
        return brought_services(*await self._releases())

    async def _releases(self) -> list[Release]:
        """Return the releases between which the deployment moves, as far as there are any; the one before first."""
        numbers = dict.fromkeys((self.deployment.from_release, self.deployment.to_release))
        found = [
            await self.components.state.releases.get(self.environment.name, number)
            for number in numbers
            if number is not None
        ]
        return [item for item in found if item is not None]

    async def definition_before(self, service: str) -> ServiceDefinition | None:
        """Return how the releases between which the deployment moves define a service, or None where none has it."""
        for release in await self._releases():
            if any(release_service.name == service for release_service in release.services):
                return (await self.definitions(release.model_hash)).get(service)
        return None

    @property
    def own_service(self) -> OwnService:
        """Return what finds the bot's own container in this environment."""
        return OwnService(self.components, self.environment)

    async def bot(self) -> OwnContainer | None:
        """Return the container of this environment that the bot runs in; no phase may touch its service."""
        return await self.own_service.bot()

    @property
    def release_label(self) -> str:
        """Return what the release that the deployment leads to is called."""
        return self.deployment.id if self.release is None else self.release.label

    def phase_succeeded(self, name: PhaseName) -> bool:
        """Return whether a phase is behind this deployment already (it is, after a resume)."""
        phase = self.deployment.phase(name)
        return phase is not None and phase.status is PhaseStatus.SUCCESS


def publish_end(bus: EventBus, ended: Deployment, *, abandoned: str = "") -> None:
    """Publish how a deployment ended, once that is written; `abandoned` says why nobody could finish it."""
    if ended.outcome is None:
        return
    event = DeploymentEnded(
        outcome=ended.outcome,
        kind=ended.request.kind,
        duration_seconds=ended.duration_seconds,
        abandoned=abandoned,
        **origin(ended, SOURCE),
    )
    bus.publish(event)
