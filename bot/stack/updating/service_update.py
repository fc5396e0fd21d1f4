"""Bring one service to what a model says: create, start or roll out its containers, and wait until it is ready."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace

from roas.concurrency import run_concurrently, run_uninterrupted
from roas.errors import FencedOffError, JournalUnusableError, RoasError, RolloutPausedError
from roas.log import get_logger
from roas.messages.message import said
from roas.models.deployment import ServiceStep
from roas.models.health import ContainerSnapshot, ContainerState
from roas.models.stack import ServiceDefinition
from roas.stack.containers.readiness import Readiness, ServiceReadiness, wait_until_ready
from roas.stack.containers.repair import is_of_others
from roas.stack.containers.watch import ContainerWatch
from roas.stack.image_supply import ServiceReport
from roas.stack.model.services import lenders_of, services_of, shared_with
from roas.stack.proxy.proxied_service import ProxyReport
from roas.stack.service_comparison import WantedService, compare_service, runs_well, serves
from roas.stack.stack import Stack
from roas.stack.updating.behind_proxy import BehindProxy, Front
from roas.stack.updating.rollout_rules import is_rolled_out
from roas.stack.updating.service_rollout import RolloutLog, ServiceRollout

log = get_logger(__name__)

READY_STEPS = {
    Readiness.HEALTHY: ServiceStep.HEALTHY,
    Readiness.UNVERIFIED: ServiceStep.UNVERIFIED,
    Readiness.COMPLETED: ServiceStep.COMPLETED,
}


async def _report_to_nobody() -> None:
    """Do not report the start."""


@dataclass(frozen=True, slots=True)
class ServiceUpdate:
    """Say what is to become of one service; the caller may have given its `definition` another order of updating.

    `started` is called when it runs. With `restart`, containers that run as they should are restarted; with `recreate`,
    all are replaced. With a `rollout`, replicas are replaced as the definition's policy says. A container that was
    there before, of a release that is restored (`restoring`), or suspended, has a moment to be well again. Where a
    release that is restored fails, what was well before runs again: made by the `model_before`, or, where it `keeps`
    what it can, only stopped so far. Those that were `well_before`, by id, may have been stopped by a process that
    died. A Swarm is told the id of the `deployment`.
    """

    model_hash: str
    definition: ServiceDefinition
    report: ServiceReport
    started: Callable[[], Awaitable[None]] = _report_to_nobody
    restart: bool = False
    recreate: bool = False
    restoring: bool = False
    rollout: RolloutLog | None = None
    deployment: str = ""
    model_before: str = ""
    keeps: bool = False
    well_before: frozenset[str] = frozenset()


async def wanted_service(stack: Stack, watch: ContainerWatch, update: ServiceUpdate) -> WantedService:
    """Return what a model wants of a service.

    How its containers are hashed that are to be recreated does not count.
    """
    definition = update.definition
    model = await stack.load_model(update.model_hash)
    fields = services_of(model).get(definition.name, {})
    if shared_with(fields) or lenders_of(fields):
        # Compose hashes the id of that container, and who took its place may not have been seen yet.
        await watch.refresh()
    there = watch.containers
    counting = tuple(container for container in there if not (update.recreate and container.service == definition.name))
    wanted = await stack.wanted_services(model, counting, as_it_is=True)
    return replace(wanted[definition.name], definition=definition)


class ServiceUpdater:
    """Carry one update out, and report each step before it is taken; it tells the proxy in front of the service."""

    def __init__(
        self,
        stack: Stack,
        watch: ContainerWatch,
        behind_proxy: BehindProxy,
        update: ServiceUpdate,
        wanted: WantedService,
    ) -> None:
        self._stack = stack
        self._watch = watch
        self._behind = behind_proxy
        report = waiting_steps(update.report, update.definition)
        # Neither a way back nor a recovery, which has no log of a rollout, fails for a proxy that is away.
        is_lenient = update.restoring or update.rollout is None
        self._front = Front(stack, update.definition, report, best_effort=is_lenient)
        self._update = update
        self._wanted = wanted
        self._definition = update.definition
        self._before = self._there
        self._replaced = Replaced(stack, wanted, self._before, update.model_before, update.well_before)
        self._sets_aside = update.keeps and self._replaced.can_be_kept

    @property
    def _there(self) -> tuple[ContainerSnapshot, ...]:
        return self._watch.of_service(self._definition.name)

    async def run(self) -> Readiness:
        """Bring the service to what is wanted, and wait until it is ready.

        Creating and starting belong together: a caller that is cancelled meanwhile waits for their end. Raises
        ServiceFailedError with the container's failure output, RolloutPausedError where the policy asks a person.
        """
        update = self._update
        if not update.recreate and compare_service(self._wanted, self._before).is_only_unread:
            await self._report(ServiceStep.WAITING, said("until it has read its configuration again"))
            # One that cannot is replaced.
            self._update = update = replace(update, recreate=not await run_uninterrupted(self._reload()), restart=False)
        with self._behind.working(self._stack, self._definition):
            try:
                rollout = self._rollout
                readiness = await (self._start_and_wait() if rollout is None else self._roll_out(rollout))
            except (FencedOffError, JournalUnusableError, RolloutPausedError):
                raise
            except RoasError:
                if update.restoring and not self._stack.replaces_by_itself:
                    await run_uninterrupted(self._replaced.put_back())
                raise
        await self._report(READY_STEPS[readiness.state], self._front.with_left_open(readiness.reason))
        return readiness.state

    async def _reload(self) -> bool:
        await self._stack.releases.check(self._update.model_hash)
        model = await self._stack.load_model(self._update.model_hash)
        return await self._stack.proxies.reload(model, self._definition.name)

    @property
    def _rollout(self) -> RolloutLog | None:
        """Return the log of the rollout by which replicas are replaced; None where all are at once."""
        log = self._update.rollout
        if log is None or self._update.recreate or self._stack.replaces_by_itself:
            return None
        return log if is_rolled_out(self._wanted, self._before, log.record) else None

    async def _start_and_wait(self) -> ServiceReadiness:
        """Create and start what is lacking, all at once, and wait; the old ones go last."""
        update, definition, log = self._update, self._definition, self._update.rollout
        if log is not None and definition.proxy is not None and update.restart:
            log.allow(definition.proxy.limit_seconds * definition.replicas)  # they are drained one by one
        is_running = any(container.state is ContainerState.RUNNING for container in self._there)
        beside = definition.start_first and is_running and not update.recreate
        if is_running and not update.recreate:
            # Whatever the order: who serves already goes on, and what starts beside it is not ready yet.
            await self._front.hold(max(0, definition.replicas - sum(map(self._wanted.fits, self._before))))
        if not beside and self._sets_aside and not self._stack.replaces_by_itself:
            if any(
                container.state is ContainerState.RUNNING and not self._wanted.fits(container)
                for container in self._there
            ):
                await self._report(ServiceStep.RESTORING, said("stopping the one that is replaced"))
            await run_uninterrupted(self._replaced.set_aside())
            beside = True
        started = await run_uninterrupted(self._create_and_start(beside=beside))
        await update.started()
        await self._watch.inspect({*started, *(container.id for container in self._there)})
        # Nobody waits for one that is too many. What is replaced stays until what takes its place is ready.
        if all(map(self._wanted.fits, self._before)) and compare_service(self._wanted, self._there).has_only_too_many:
            await self._remove_others()
        await self._report(ServiceStep.WAITING)
        limit = log.seconds_left if update.restoring and log is not None else None
        readiness = await wait_until_ready(
            self._stack,
            definition,
            self._watch,
            fits=self._wanted.fits,
            old=self._old,
            limit=limit,
            were_there=bool(started),
        )
        if log is not None and definition.proxy is not None:
            log.allow(definition.proxy.limit_seconds)
        await self._remove_others()
        await self._front.settle()
        return readiness

    async def _roll_out(self, log: RolloutLog) -> ServiceReadiness:
        """Replace the replicas as the policy says; what is too many goes after, and what is set aside."""
        rollout = ServiceRollout(
            self._stack,
            self._update.model_hash,
            self._wanted,
            self._watch,
            log,
            self._front,
            self._discard,
            self._old,
            keeps=self._sets_aside,
            restoring=self._update.restoring,
        )
        try:
            readiness = await rollout.run()
        except RolloutPausedError:
            # It may wait for long: what is well gets requests, and what is not gets none, however often it starts.
            await self._front.settle(holds=True)
            raise
        await self._remove_others()
        await self._front.settle()
        return readiness

    @property
    def _old(self) -> frozenset[str]:
        """Return those, by id, that have a moment to be well again."""
        is_excused = self._update.restoring
        return frozenset(
            container.id for container in self._before if is_excused or container.state is ContainerState.PAUSED
        )

    async def _create_and_start(self, *, beside: bool) -> tuple[str, ...]:
        """Create what a service lacks, and start it; what runs may be started again. Return what was started, by id."""
        update, name = self._update, self._definition.name
        if not self._there or not all(container.never_ran for container in self._there):
            await self._report(ServiceStep.CREATING, said("beside the old one") if beside else "")
        created = await self._stack.create_service(
            update.model_hash,
            name,
            beside=beside,
            recreate=update.recreate,
            seen=self._there,
            deployment=update.deployment,
        )
        if created:
            await self._report(ServiceStep.STARTING)
        for container_id in created:
            await self._stack.start(container_id)
        if update.restart and not created:
            await self._report(ServiceStep.STARTING, said("again, since what it depends on was replaced"))
            await self._restart_all()
        return created

    async def _restart_all(self) -> None:
        """Restart all containers; behind a proxy one after the other, so that some always serve."""
        stack, definition = self._stack, self._definition
        if definition.proxy is None:
            await run_concurrently(self._restart(container.id) for container in self._there)
            return
        for container in self._there:
            await self._front.drain((container,), even_last=False)
            await self._restart(container.id)
            await self._watch.inspect({container.id})
            await wait_until_ready(stack, replace(definition, replicas=1), self._watch, only=container.id)
            await self._front.admit(
                (snapshot for snapshot in self._there if snapshot.id == container.id), best_effort=True
            )

    async def _restart(self, container_id: str) -> None:
        await self._stack.stop(container_id)
        await self._stack.start(container_id)

    async def _discard(self, containers: tuple[ContainerSnapshot, ...]) -> None:
        """Set replicas aside that were retired, or remove them."""
        if not self._sets_aside:
            await run_uninterrupted(self._remove(containers))
            return
        await run_uninterrupted(self._replaced.set_aside(containers))
        await self._watch.inspect(container.id for container in containers)

    async def _remove_others(self) -> None:
        """After a start-first update the new containers serve; the old ones go, and those that are too many.

        What somebody else has created since, and is about to start, is left to them.
        """
        known = {container.id for container in self._before}
        there = tuple(container for container in self._there if container.id in known or not is_of_others(container))
        difference = compare_service(self._wanted, there)
        going = difference.unlike + difference.surplus
        if await self._front.take_out(going, [container for container in there if container not in going]):
            await run_uninterrupted(self._remove(going))

    async def _remove(self, containers: tuple[ContainerSnapshot, ...]) -> None:
        """Remove containers, and see to it that nobody judges a service by what the watch saw of their end."""
        await run_concurrently(self._stack.remove(container.id) for container in containers)
        await self._watch.inspect(container.id for container in containers)

    async def _report(self, step: ServiceStep, text: str = "") -> None:
        await self._update.report(self._definition.name, step, text, None)


@dataclass(slots=True)
class Replaced:
    """Hold the containers of a service that an earlier release replaces, so that they serve again if that fails.

    Those that can be kept are stopped, perhaps by a process that died since, and removed once the others are ready.
    What only one container can have, and what would lose a volume, Compose replaces; then the model before makes the
    old ones again.
    """

    stack: Stack
    wanted: WantedService
    before: tuple[ContainerSnapshot, ...]
    model_before: str
    well_before: frozenset[str]

    @property
    def can_be_kept(self) -> bool:
        """Return whether some that were well are replaced, and new ones can stand beside them once they are stopped."""
        definition = self.wanted.definition
        shares = definition.fixed_name or definition.shared_by or definition.linked_by or not definition.replicas
        return bool(self._well) and not shares and not any(container.unnamed_volumes for container in self.before)

    @property
    def _well(self) -> list[ContainerSnapshot]:
        """Return what was well and is replaced; a job that has ended is nothing to start again."""
        if self.wanted.definition.one_shot:
            return []
        replaced = [container for container in self.before if not self.wanted.fits(container)]
        return [
            container
            for container in replaced
            if runs_well(container) or (container.id in self.well_before and container.state is ContainerState.EXITED)
        ]

    async def set_aside(self, containers: Iterable[ContainerSnapshot] | None = None) -> None:
        """Stop containers, by default all that are not as the release says."""
        going = [
            container
            for container in (self.before if containers is None else containers)
            if not self.wanted.fits(container)
        ]
        await run_concurrently(self.stack.stop(container.id) for container in going)

    async def put_back(self) -> None:
        """Let what was well before run again in place of what was made; where nothing was, that stays as it is."""
        well = self._well
        if not well:
            return
        service, before = self.wanted.definition.name, {container.id for container in self.before}
        try:
            there = [container for container in await self.stack.containers() if container.service == service]
            ids = {container.id for container in there}
            if ids.issuperset(container.id for container in well):
                fitting = [container for container in there if self.wanted.fits(container)]
                made = [container.id for container in fitting if container.id not in before or not serves(container)]
                await run_concurrently(self.stack.remove(name, grace_seconds=2.0) for name in made)
                again = [container.id for container in well]
            elif self.model_before:
                again = [*await self.stack.create_service(self.model_before, service)]
            for container_id in again:
                await self.stack.start(container_id)
        except RoasError as error:
            log.warning("what was well before does not run again", service=service, error=error.message)


def waiting_steps(report: ServiceReport, definition: ServiceDefinition) -> ProxyReport:
    """Report what is waited for at a proxy as a part of waiting for the service."""

    async def say(text: str) -> None:
        await report(definition.name, ServiceStep.WAITING, text, None)

    return say
