"""Replace the bot that runs the deployment: start the successor beside it, verify it, transfer leadership.

The container of this very process is never recreated in place. The bot that continues the deployment finds
its own container as the release wants it, and removes the other one once the release is verified.
"""

import time

from roas.deploy.context import DeploymentContext
from roas.deploy.handover.state_folder import state_move
from roas.deploy.peers import proven_peers, spared_bots
from roas.errors import EngineError, FencedOffError, ServiceFailedError
from roas.limits import MOST_SUCCESSORS
from roas.messages.message import said
from roas.models.deployment import Operation, ServiceProgress, ServiceStep
from roas.models.facts import OwnContainer
from roas.models.health import AT_WORK, ENDED, ContainerSnapshot, ContainerState, HealthStatus
from roas.models.leader_lease import Heartbeat
from roas.stack.containers.watch import ContainerWatch
from roas.stack.service_comparison import WantedService
from roas.state.living_processes import boot_seconds

# An older heartbeat does not show the present state of a bot; one is written every half second.
FRESH_SECONDS = 3.0
LOOK_SECONDS = 0.2
WELL = frozenset({HealthStatus.HEALTHY, HealthStatus.NONE})
NOT_HEALTHY_YET = said("its health check had not passed")
UNHEALTHY_REASON = said("its health check fails")
REMOVED_REASON = said("its container was removed")
# Somebody removes it, and the engine may call it unhealthy meanwhile: nobody else does that while it is awaited.
GOING = frozenset({ContainerState.REMOVING, ContainerState.DEAD})
RESTARTED_POLICIES = frozenset({"always", "unless-stopped"})


class SuccessorStoppedError(ServiceFailedError):
    """Somebody stopped, killed or removed the successor: that says nothing of its version."""


class SuccessorWatch:
    """Watch the containers of the bot's own service that are to take over."""

    def __init__(self, context: DeploymentContext, watch: ContainerWatch, own: OwnContainer) -> None:
        self._context = context
        self._watch = watch
        self._own = own

    def others(self) -> tuple[ContainerSnapshot, ...]:
        """Return the containers of the service, but for this process's own."""
        return tuple(c for c in self._watch.of_service(self._own.service) if c.id != self._own.id)

    async def wait_until_ready(
        self, container_id: str, wanted: WantedService | None, restarts_before: int
    ) -> Heartbeat:
        """Wait until the successor's container is healthy and its heartbeat says that it is ready."""
        allowed = self._context.components.settings.handover_seconds
        deadline = time.monotonic() + allowed
        reason: str = said("it did not start")
        # A process that was suspended for a while becomes healthy again within moments of resuming.
        unhealthy = {c.id for c in self.others() if c.health is HealthStatus.UNHEALTHY}
        while time.monotonic() < deadline:
            self._context.checkpoint()
            container = next((c for c in self.others() if c.id == container_id), None)
            if container is None:  # it was created, and all containers were looked at since
                raise await self._not_ready_error(container_id, REMOVED_REASON, SuccessorStoppedError)
            if container.state is ContainerState.PAUSED:
                unhealthy.add(container_id)
            if failure := _failure(container, restarts_before, container_id in unhealthy):
                kind = SuccessorStoppedError if _was_stopped(container) else ServiceFailedError
                raise await self._not_ready_error(container_id, failure, kind)
            heartbeat = await self._context.components.state.ownership.heartbeat(container_id=container_id)
            missing = await self._find_missing(container, heartbeat, wanted)
            if missing is None and heartbeat is not None:
                return heartbeat
            reason = missing or reason
            await self._watch.changed_within(LOOK_SECONDS)
        raise await self._not_ready_error(
            container_id, said("after {allowed} s {reason}", allowed=f"{allowed:g}", reason=reason)
        )

    async def wait_until_own_is_well(self) -> None:
        """Wait until this process's own container is healthy. Raises ServiceFailedError."""
        allowed = self._context.components.settings.handover_seconds
        try:
            await self._watch.until(self._own_is_healthy, allowed)
        except TimeoutError as error:
            own = next((c for c in self._watch.containers if c.id == self._own.id), None)
            is_unhealthy = own is not None and own.health is HealthStatus.UNHEALTHY
            reason = UNHEALTHY_REASON if is_unhealthy else NOT_HEALTHY_YET
            raise await self._not_ready_error(
                self._own.id, said("after {allowed} s {reason}", allowed=f"{allowed:g}", reason=reason)
            ) from error

    def _own_is_healthy(self, containers: tuple[ContainerSnapshot, ...]) -> bool | None:
        """Return True once this process's own container is healthy; after it was suspended it is not for a moment."""
        own = next((c for c in containers if c.id == self._own.id), None)
        return True if own is not None and own.health in WELL else None

    def restarts(self, container_id: str) -> int:
        """Return how often a container was restarted before it was to take over: that is not held against it.

        The old one, to which a failed deployment goes back, may just have died and be about to be started again.
        """
        container = next((c for c in self.others() if c.id == container_id), None)
        if container is None:
            return 0
        comes_back = self._context.deployment.problem is not None and container.state is ContainerState.RESTARTING
        return container.restart_count + comes_back

    async def _find_missing(
        self, container: ContainerSnapshot, heartbeat: Heartbeat | None, wanted: WantedService | None
    ) -> str | None:
        """Return why the successor is not ready yet, or None where it is."""
        if container.state is not ContainerState.RUNNING:
            return said("its container does not run")
        if container.health is HealthStatus.STARTING:
            return NOT_HEALTHY_YET
        if container.health is HealthStatus.UNHEALTHY:
            return UNHEALTHY_REASON
        if heartbeat is None or boot_seconds() - heartbeat.beat_at > FRESH_SECONDS:
            return said("it had not opened the journal")
        if heartbeat.config_hash not in {"", wanted and wanted.config_hash}:  # an older bot does not say
            return said("it reports another release")
        if not heartbeat.cogs_loaded:
            return said("its cogs were not loaded")
        own = await self._context.components.state.ownership.heartbeat(container_id=self._own.id)
        if not heartbeat.gateway_ready and (own is None or own.gateway_ready):
            return said("it was not connected to Discord")
        return None

    async def _not_ready_error(
        self, container_id: str, reason: str, kind: type[ServiceFailedError] = ServiceFailedError
    ) -> ServiceFailedError:
        service = self._own.service
        try:
            report = await self._context.stack.failure_output(container_id)
        except EngineError as error:  # whoever removed the container took its log along
            report = said("(its log cannot be read: {reason})", reason=error.message)
        return kind(
            said("The new {service} was not ready to take over: {reason}.", service=service, reason=reason),
            hint=said(
                "The old {service} never stopped. Read the new one's last log lines, fix it, and deploy again.",
                service=service,
            ),
            service=service,
            report=report,
        )


def _was_stopped(container: ContainerSnapshot) -> bool:
    """Return whether somebody ended a container: the engine would have started again what ended by itself."""
    if container.state in GOING:
        return True
    return container.state is ContainerState.EXITED and container.restart_policy in RESTARTED_POLICIES


def _failure(container: ContainerSnapshot, restarts_before: int, was_unhealthy: bool) -> str | None:
    """Return why a container can no longer become ready, or None; an unhealthy one may still recover."""
    if container.state is ContainerState.RESTARTING and container.restart_count < restarts_before:
        return None
    if container.state in GOING:
        return REMOVED_REASON
    if container.state in ENDED | {ContainerState.RESTARTING}:
        code = "" if container.exit_code is None else said(" with code {exit_code}", exit_code=container.exit_code)
        return said("it ended{code}", code=code)
    if container.restart_count > restarts_before:
        times = container.restart_count - restarts_before
        return said("it restarted {times} {times|time|times}", times=times)
    return UNHEALTHY_REASON if container.health is HealthStatus.UNHEALTHY and not was_unhealthy else None


class HandedOverError(FencedOffError):
    """Another bot runs the deployment now, as was intended."""

    key = "handed_over"


class Handover:
    """Pass leadership and the deployment to a container of the bot's own service that is as a model says."""

    def __init__(self, context: DeploymentContext, watch: ContainerWatch, own: OwnContainer, model_hash: str) -> None:
        self._context = context
        self._watch = watch
        self._own = own
        self._model_hash = model_hash
        self._successors = SuccessorWatch(context, watch, own)

    async def needed(self) -> bool:
        """Return whether the bot's own container is not as the model says, or somebody asked to restart it."""
        wanted = await self._wanted()
        own = next((c for c in self._watch.containers if c.id == self._own.id), None)
        return wanted is not None and own is not None and (not wanted.fits(own) or self._is_restarted)

    @property
    def _is_restarted(self) -> bool:
        """Return whether another container is wanted though this one is as the model says."""
        deployment = self._context.deployment
        return deployment.request.operation is Operation.RESTART and self._own.id not in deployment.successors

    async def run(self) -> None:
        """Start the successor, wait until it is ready, and pass everything on: it ends by raising HandedOverError.

        Raises ServiceFailedError where the successor is not ready within its deadline; then it is gone again.
        """
        context, service = self._context, self._own.service
        lease = context.components.leadership.lease
        if lease is None:
            raise ServiceFailedError(
                said(
                    "{service} is this process itself, and it is not the leader: it cannot hand over.", service=service
                )
            )
        known = context.deployment.by_service
        await context.plan_services([known.get(service) or ServiceProgress(service, changed=True)])
        _, heartbeat = await self._ready_successor()
        if not heartbeat.gateway_ready:
            context.warn(
                said(
                    "Discord cannot be reached: the connection of the new {service} could not be verified.",
                    service=service,
                )
            )
        await context.report(service, ServiceStep.WAITING, said("taking over"))
        await context.update(warnings=tuple(context.warnings))
        ownership = context.components.state.ownership
        async with context.pause_others():
            await context.components.leadership.transfer(
                ownership.transfer(lease, context.deployment, context.fence, heartbeat.instance_id)
            )
        raise HandedOverError(
            said(
                "{deployment} was passed on to {instance_id}.",
                deployment=context.deployment.id,
                instance_id=heartbeat.instance_id,
            )
        )

    async def is_needed_externally(self) -> bool:
        """Return whether the bot's service is not one running container as the model says."""
        wanted = await self._wanted()
        containers = self._watch.of_service(self._own.service)
        if wanted is None:
            return False
        fitting = [c for c in containers if wanted.fits(c) and c.state is ContainerState.RUNNING]
        return len(containers) != 1 or not fitting

    async def run_externally(self) -> None:
        """Replace a bot that is not this process: only leadership passes, when the old one leaves.

        One that is as the model says stays, and what is beside it goes. Raises ServiceFailedError where the successor
        is not ready within its deadline; then it is gone again.
        """
        context, service = self._context, self._own.service
        await context.plan_services([ServiceProgress(service, changed=True)])
        if await self.needed():
            container_id, _ = await self._ready_successor()
            await context.report(service, ServiceStep.WAITING, said("taking over"))
            await self._keep_only_container(container_id)
            await context.report(service, ServiceStep.HEALTHY, said("it took over from the old one"))
        else:
            await context.report(service, ServiceStep.REMOVING, said("the other one"))
            await self._keep_only_container(self._own.id)
            await context.report(service, ServiceStep.HEALTHY)

    async def _keep_only_container(self, container_id: str) -> None:
        others = tuple(c for c in self._watch.of_service(self._own.service) if c.id != container_id)
        await self._remove_peers(others)
        await self._watch.refresh()

    async def _remove_peers(self, containers: tuple[ContainerSnapshot, ...]) -> None:
        """Remove containers of the bot's service, except those on another journal: these are reported."""
        context, components = self._context, self._context.components
        peers = await proven_peers(components.peers, context.environment, containers, context.warn)
        await components.manager.remove_containers(context.stack, peers)

    async def _ready_successor(self) -> tuple[str, Heartbeat]:
        """Start a successor and wait until it is ready; where somebody ends it, another one is started."""
        context, service = self._context, self._own.service
        for _ in range(MOST_SUCCESSORS - 1):
            try:
                return await self._wait_for_successor()
            except SuccessorStoppedError:
                context.warn(
                    said("The new {service} was stopped or removed by hand: another one was started.", service=service)
                )
        return await self._wait_for_successor()

    async def _wait_for_successor(self) -> tuple[str, Heartbeat]:
        container_id, restarts = await self._successor()
        try:
            return container_id, await self._successors.wait_until_ready(container_id, await self._wanted(), restarts)
        except ServiceFailedError as error:
            context, service = self._context, self._own.service
            await context.report(service, ServiceStep.REMOVING, said("the new one, which is not ready to take over"))
            await self._remove_failed(container_id)
            await context.report(service, ServiceStep.FAILED, error.message)
            raise

    async def _wanted(self) -> WantedService | None:
        """Return what the model wants of the bot's service; under a fixed tag, its hash alone tells no image."""
        stack = self._context.stack
        return (await stack.wanted_services(await stack.load_model(self._model_hash))).get(self._own.service)

    async def _successor(self) -> tuple[str, int]:
        """Return the container that is to take over, and how many restarts are not held against it.

        It is a running one (of an earlier attempt), or a new one, of which each restart counts.
        """
        context, service = self._context, self._own.service
        wanted = await self._wanted()
        stack = context.stack
        spared = await spared_bots(context.components.peers, stack, self._own)
        if earlier := self._find_working(wanted, spared):
            return earlier[0], self._successors.restarts(earlier[0])
        await context.report(service, ServiceStep.CREATING, said("beside the old one"))
        made_beside = spared | {self._own.id} if self._is_restarted else spared
        created = await stack.create_service(self._model_hash, service, beside=True, spared=made_beside)
        await context.update(successors=(*context.deployment.successors, *created))
        await context.report(service, ServiceStep.STARTING)
        for container_id in created:
            await context.components.state.locks.check(context.fence)
            await stack.start(container_id)
        await self._watch.refresh()
        await context.report(service, ServiceStep.WAITING, said("getting ready beside the old one"))
        if created:
            return created[0], 0
        if working := self._find_working(wanted, spared):
            return working[0], self._successors.restarts(working[0])
        raise ServiceFailedError(said("The new {service} is gone again.", service=service), service=service)

    async def settle(self) -> None:
        """Wait until this process's own container is ready, where the deployment changed its service.

        It is, where leadership was passed on; it may not be, where the predecessor died before that. Raises
        ServiceFailedError.
        """
        context, service = self._context, self._own.service
        wanted = await self._wanted()
        planned = context.deployment.by_service.get(service)
        if wanted is None or planned is None or not planned.changed:
            return
        # Where the predecessor died and is started again, it watches over this process, too.
        if self._successors.others() and not context.deployment.handed_over_to:
            await context.update(handed_over_to=context.components.state.instance_id)
        await self._successors.wait_until_own_is_well()

    def _find_working(self, wanted: WantedService | None, spared: frozenset[str]) -> tuple[str, ...]:
        """Return the other containers that are as wanted, and are running or restarting."""
        others = [c for c in self._successors.others() if c.id not in spared and c.state in AT_WORK]
        return tuple(c.id for c in others if wanted is not None and wanted.fits(c))

    async def _remove_failed(self, container_id: str) -> None:
        context = self._context
        failed = tuple(c for c in self._watch.of_service(self._own.service) if c.id == container_id)
        for container in await proven_peers(context.components.peers, context.environment, failed, context.warn):
            await context.stack.remove(container.id, grace_seconds=2.0)
        await self._watch.refresh()


async def replace_bot_if_needed(
    context: DeploymentContext, watch: ContainerWatch, model_hash: str, bot: OwnContainer | None
) -> None:
    """Replace a bot's container that is not as a model says; where it is this process's own, this does not return.

    A model that keeps the bot's state elsewhere is not followed: its successor would be on another journal. Raises
    HandedOverError, ServiceFailedError where the successor is not ready, StateMovedError.
    """
    if bot is None:
        return
    model = await context.stack.load_model(model_hash)
    move = await state_move(context.own_service, bot, model)
    if move is not None and context.deployment.problem is not None:
        context.warn(move.warning())
        return
    if move is not None:
        raise move.refusal()
    handover = Handover(context, watch, bot, model_hash)
    if await context.components.own_container(context.environment) is None:
        if await handover.is_needed_externally():
            await handover.run_externally()
        return
    if await handover.needed():
        await handover.run()
    await handover.settle()
