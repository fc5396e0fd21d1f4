"""Replace the bot that runs the deployment: start the successor beside it, verify it, transfer leadership.

The container of this very process is never recreated in place. The bot that continues the deployment finds
its own container as the release wants it, and removes the other one once the release is verified.
"""

from roas.deploy.context import DeploymentContext
from roas.deploy.peers import proven_peers, spared_bots
from roas.deploy.state_folder import state_move
from roas.deploy.successor_watch import SuccessorStoppedError, SuccessorWatch
from roas.errors import FencedOffError, ServiceFailedError
from roas.messages.message import said
from roas.models.deployment import ServiceProgress, ServiceStep
from roas.models.facts import OwnContainer
from roas.models.health import AT_WORK, ContainerSnapshot, ContainerState
from roas.models.ownership import Heartbeat
from roas.stack.containers.watch import ContainerWatch

# How many successors are started in all, where somebody ends them.
MOST_SUCCESSORS = 3


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
        """Return whether the bot's own container is not as the model says."""
        wanted = await self._wanted_hash()
        own = next((c for c in self._watch.containers if c.id == self._own.id), None)
        return wanted is not None and own is not None and own.config_hash != wanted

    async def run(self) -> None:
        """Start the successor, wait until it is ready, and pass everything on: it ends by raising HandedOverError.

        Raises ServiceFailedError where the successor is not ready within its deadline; then it is gone again.
        """
        context, service = self._context, self._own.service
        lease = context.components.held_lease()
        if lease is None:
            raise ServiceFailedError(
                said(
                    "{service} is this process itself, and it is not the leader: it cannot hand over.", service=service
                )
            )
        known = {progress.service: progress for progress in context.deployment.services}
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
            await context.components.held_lease.transfer(
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
        wanted = await self._wanted_hash()
        containers = self._watch.of_service(self._own.service)
        fitting = [c for c in containers if c.config_hash == wanted and c.state is ContainerState.RUNNING]
        return wanted is not None and (len(containers) != 1 or not fitting)

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
                container_id = await self._successor()
                return container_id, await self._require_ready(container_id)
            except SuccessorStoppedError:
                context.warn(
                    said("The new {service} was stopped or removed by hand: another one was started.", service=service)
                )
        container_id = await self._successor()
        return container_id, await self._require_ready(container_id)

    async def _require_ready(self, container_id: str) -> Heartbeat:
        try:
            restarts = self._successors.restarts(container_id)
            return await self._successors.wait_until_ready(container_id, await self._wanted_hash(), restarts)
        except ServiceFailedError as error:
            context, service = self._context, self._own.service
            await context.report(service, ServiceStep.REMOVING, said("the new one, which is not ready to take over"))
            await self._remove_failed(container_id)
            await context.report(service, ServiceStep.FAILED, error.message)
            raise

    async def _wanted_hash(self) -> str | None:
        hashes = await self._context.stack.current_hashes(self._model_hash)
        return hashes.get(self._own.service)

    async def _successor(self) -> str:
        """Return the container that is to take over: a running one (of an earlier attempt), or a new one."""
        context, service = self._context, self._own.service
        wanted = await self._wanted_hash()
        stack = context.stack
        spared = await spared_bots(context.components.peers, stack, self._own)
        if earlier := self._find_working(wanted, spared):
            return earlier[0]
        await context.report(service, ServiceStep.CREATING, said("beside the old one"))
        created = await stack.create_service(self._model_hash, service, beside=True, spared=spared)
        await context.update(successors=(*context.deployment.successors, *created))
        await context.report(service, ServiceStep.STARTING)
        for container_id in created:
            await context.components.state.locks.check(context.fence)
            await stack.start(container_id)
        await self._watch.refresh()
        await context.report(service, ServiceStep.WAITING, said("getting ready beside the old one"))
        if not (fitting := created or self._find_working(wanted, spared)):
            raise ServiceFailedError(
                said("The new {service} is gone again.", service=service), hint=said("Deploy again."), service=service
            )
        return fitting[0]

    async def settle(self) -> None:
        """Wait until this process's own container is ready, where the deployment changed its service.

        It is, where leadership was passed on; it may not be, where the predecessor died before that. Raises
        ServiceFailedError.
        """
        context, service = self._context, self._own.service
        wanted = await self._wanted_hash()
        planned = next((one for one in context.deployment.services if one.service == service), None)
        if wanted is None or planned is None or not planned.changed:
            return
        # Where the predecessor died and is started again, it watches over this process, too.
        if self._successors.others() and not context.deployment.handed_over_to:
            await context.update(handed_over_to=context.components.state.instance_id)
        await self._successors.wait_until_own_is_well()

    def _find_working(self, config_hash: str | None, spared: frozenset[str]) -> tuple[str, ...]:
        """Return the other containers of that configuration that are running or restarting."""
        fitting = (c for c in self._successors.others() if c.config_hash == config_hash and c.id not in spared)
        return tuple(c.id for c in fitting if c.state in AT_WORK)

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
    move = await state_move(context.components, context.environment, bot, model)
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
