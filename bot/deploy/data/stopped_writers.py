"""Stop what writes into volumes for as long as they are copied, and start it again however that ends.

The journal has which containers those are before the first of them is stopped: whoever goes on with the deployment, or
ends it, starts them.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from roas.concurrency import run_concurrently, run_uninterrupted
from roas.deploy.context import DeploymentContext
from roas.errors import BackupError, FencedOffError, RoasError, ServiceFailedError
from roas.log import get_logger
from roas.messages.message import said
from roas.models.backup import VolumeUser
from roas.models.deployment import Deployment, ServiceStep
from roas.models.environment import Environment
from roas.models.health import ContainerState
from roas.stack.stack import Stack
from roas.stack.stacks import Stacks
from roas.state.manager import StateManager

log = get_logger(__name__)
# Of an environment's deployments that have ended, only so many of the last ones may have left something stopped.
MOST_DEPLOYMENTS = 20
# Return the containers that mount the volumes, as they are now.
FindUsers = Callable[[], Awaitable[Collection[VolumeUser]]]


@dataclass(slots=True)
class StoppedWriters:
    """Stop the containers that write into volumes, and measure for how many `seconds` they were stopped."""

    seconds: float = 0.0

    @asynccontextmanager
    async def of(self, context: DeploymentContext, find_users: FindUsers, *, pauses: bool) -> AsyncIterator[None]:
        """Stop, or pause, the containers that write, for the length of the block.

        Raises BackupError where one that writes runs in the end, whoever made it: what was copied then may be of two
        moments.
        """
        began = time.monotonic()
        writers = [user for user in await find_users() if user.writes and user.runs]
        held = {user.container_id: user.state for user in writers if user.state is not ContainerState.PAUSED}
        try:
            await context.update(held=tuple(held))
            await context.report_all(sorted({user.service for user in writers}), ServiceStep.STOPPING)
            act = context.stack.pause if pauses else context.stack.stop
            await run_concurrently(act(container_id) for container_id in held)
            yield
            await _require_stillness(find_users)
        except FencedOffError:  # another process has the deployment, and starts them
            raise
        except BaseException:
            await run_uninterrupted(start_if_possible(context))
            raise
        await run_uninterrupted(start_again(context))
        self.seconds = time.monotonic() - began


async def _require_stillness(find_users: FindUsers) -> None:
    for user in await find_users():
        if user.writes and user.runs and user.state is not ContainerState.PAUSED:
            raise BackupError(said("somebody started {service} meanwhile", service=user.service))


async def start_again(context: DeploymentContext) -> None:
    """Start what a backup stopped, in this process or in one that died. Raises EngineError, ServiceFailedError."""
    deployment = context.deployment
    if not deployment.held:
        return
    await start_held(context.stack, deployment)
    stopped = [progress for progress in deployment.services if progress.step is ServiceStep.STOPPING]
    await context.plan_services(replace(progress, step=ServiceStep.PENDING, detail="") for progress in stopped)
    await context.update(held=())


async def start_held(stack: Stack, deployment: Deployment, *, without: Collection[str] = ()) -> None:
    """Start the containers that a deployment holds, as far as they are there and do not run.

    Services `without` which it goes are left. Raises EngineError, and ServiceFailedError for one that cannot be
    started, once all others are.
    """
    there = await stack.containers_by_id(frozenset(deployment.held))
    held = [item for item in there if item.state is not ContainerState.RUNNING and item.service not in without]
    for failure in await run_concurrently(_start(stack, container.id) for container in held):
        if failure is not None:
            raise failure


async def _start(stack: Stack, container_id: str) -> ServiceFailedError | None:
    try:
        await stack.start(container_id)
    except ServiceFailedError as error:
        return error
    return None


async def leave_backup(stack: Stack, deployment: Deployment) -> None:
    """Start what a deployment holds that nobody goes on with, and end what copied for it. Raises EngineError."""
    try:
        if deployment.held or deployment.data_step is not None:
            await stack.data.clear_unfinished()
    finally:
        await start_held(stack, deployment)


async def start_left(stacks: Stacks, state: StateManager, environment: Environment) -> None:
    """Start, in the leader's rounds, what a backup stopped and its deployment could not start again, once.

    That is so where the engine was away until after its end: what was stopped on purpose, no restart policy starts.
    Raises StateError.
    """
    ended = await state.deployments.list(environment.name, limit=MOST_DEPLOYMENTS, whole=False)
    for deployment in ended:
        if not (deployment.held and deployment.finished):
            continue
        try:
            stopped = await state.stops.of(environment.name)
            await start_held(stacks.of(environment), deployment, without=stopped.keys())
        except RoasError as error:
            log.warning("what a backup stopped is not started yet", deployment=deployment.id, error=error.message)
            continue
        await state.deployments.forget_held(deployment.id)
        log.info("what a backup stopped runs again", deployment=deployment.id)


async def start_if_possible(context: DeploymentContext) -> None:
    """Start it again after a fault, which is what people are told of; else whoever goes on does that."""
    try:
        await start_again(context)
    except RoasError as error:
        log.warning("what a backup stopped is not started yet", error=error.message, hint=error.hint)
