"""Resume deployments that a dead process left: each goes on from its journal."""

from collections.abc import Callable, Mapping

from roas.deploy.components import Components
from roas.deploy.context import publish_end
from roas.deploy.data.backups import with_half_restored
from roas.deploy.data.stopped_writers import leave_backup
from roas.deploy.handover.peer_processes import PeerProcesses
from roas.deploy.handover.stale_instances import remove_stale_instances
from roas.deploy.own_service import OwnService
from roas.deploy.running_deployments import RunningDeployments
from roas.errors import RoasError, StateError
from roas.limits import MOST_ATTEMPTS
from roas.log import get_logger
from roas.messages.message import joined, said
from roas.models.deployment import Deployment, Outcome, Problem
from roas.models.environment import Environment
from roas.state.deployments.locks import LockHeldError
from roas.state.transaction import Fence

log = get_logger(__name__)

# Run a deployment in a task of this process.
Launch = Callable[[Deployment, Environment, Fence], None]


class Resumption:
    """Take over unfinished deployments whose process died or hangs; each goes on from its journal."""

    def __init__(
        self,
        components: Components,
        environments: Mapping[str, Environment],
        running: RunningDeployments,
        launch: Launch,
    ) -> None:
        self._components = components
        self._environments = environments
        self._running = running
        self._launch = launch
        self._peer_processes = PeerProcesses(components.stacks, components.state, components.peers)

    async def resume_all(self, *, own_only: bool = False) -> tuple[Deployment, ...]:
        """Resume every unfinished deployment whose process is dead; returns them as they were resumed.

        With `own_only`, only those that stopped here although this process lives.
        """
        resumed: list[Deployment] = []
        state = self._components.state
        for deployment in await state.deployments.unfinished():
            if self._running.must_wait(deployment.id) or (own_only and not self._running.stopped_here(deployment.id)):
                continue
            lock = await state.locks.get(deployment.environment)
            owner = lock.instance_id if lock is not None and lock.deployment_id == deployment.id else None
            if owner is None or deployment.id in self._running or await self._is_running_elsewhere(owner):
                continue
            environment = self._environments.get(deployment.environment)
            if environment is None:
                log.error("environment of an unfinished deployment is gone", deployment_id=deployment.id)
                continue
            if self._running.is_transferring:  # perhaps since a moment ago: what was set down is for another to resume
                break
            if (taken := await self._take_over_once(deployment, environment, owner)) is not None:
                resumed.append(taken)
        return tuple(resumed)

    async def _is_running_elsewhere(self, owner: str) -> bool:
        """Return whether another process runs what `owner` holds; what we hold without a task is orphaned.

        A hung process is terminated first; where it cannot be reached, it still counts as running the deployment.
        """
        instance = self._components.state.instance
        if owner == instance.id or not instance.is_alive(owner):
            return False
        return not await self._peer_processes.terminate_if_hung(owner)

    async def _take_over_once(self, deployment: Deployment, environment: Environment, owner: str) -> Deployment | None:
        """Take a deployment over, unless that has begun here meanwhile."""
        if deployment.id in self._running:
            return None
        with self._running.beginning(deployment.id):
            return await self._take_over(deployment, environment, owner)

    async def _take_over(self, deployment: Deployment, environment: Environment, owner: str) -> Deployment | None:
        """Terminate what the dead process left running, then resume at the end of its journal.

        Returns None where another process was quicker: it resumes the deployment, or has ended it by now.
        """
        components = self._components
        try:
            deployment, fence = await components.state.deployments.take_over(
                deployment.id, owner, is_new_attempt=self._is_new_attempt
            )
        except (LockHeldError, StateError):
            held = await components.state.locks.get(environment.name)
            if held is not None and (held.deployment_id, held.instance_id) == (deployment.id, owner):
                raise
            log.info("another process was quicker to resume a deployment", deployment_id=deployment.id)
            return None
        if owner != components.state.instance_id:
            components.state.instance.forget(owner)
        log.warning("resuming a deployment", deployment_id=deployment.id, attempt=deployment.attempts, owner=owner)
        if deployment.attempts > MOST_ATTEMPTS:
            await self._clean_up(environment, owner)
            if not environment.hosts:
                await remove_stale_instances(OwnService(components, environment), fence)
            return await self._abandon(deployment, environment, fence)
        await self._clean_up(environment, owner)
        self._launch(deployment, environment, fence)
        return deployment

    def _is_new_attempt(self, deployment: Deployment) -> bool:
        """Return whether resuming a deployment counts as an attempt: not after a handover or a journal fault.

        Nor is it one where it only waited for a person, or baked.
        """
        if deployment.waits_in is not None or deployment.bakes_until is not None:
            return False
        passed_on = deployment.handed_over_to == self._components.state.instance_id
        if passed_on and not self._running.was_launched(deployment.id):
            return False
        return not self._running.stopped_here(deployment.id)

    async def _clean_up(self, environment: Environment, owner: str) -> None:
        """Repair what a killed Compose left behind. If the engine is unavailable, the phases find and report that."""
        try:
            if owner != self._components.state.instance_id:
                await self._components.stacks.kill_orphans(owner)
            if not environment.hosts:  # each host's own deployment does so
                await OwnService(self._components, environment).sweep()
        except RoasError as error:
            log.warning("leftovers could not be cleared yet", error=error.message)

    async def _abandon(self, deployment: Deployment, environment: Environment, fence: Fence) -> Deployment:
        try:
            if not environment.hosts:
                await leave_backup(self._components.stacks.of(environment), deployment)
        except RoasError as error:
            log.warning("what a backup stopped cannot be started", error=error.message, hint=error.hint)
        problem = Problem(
            key="attempts_exhausted",
            message=said(
                "This deployment was interrupted {attempts} {attempts|time|times}: "
                "its bot died, or could not continue.",
                attempts=deployment.attempts - 1,
            ),
            hint=said(
                "Read the bot's log, then `/rollback {environment}` or deploy again.",
                environment=deployment.environment,
            ),
        )
        problem = with_half_restored(problem, deployment)
        ended = deployment.ended(Outcome.FAILED, problem)
        await self._components.state.deployments.finish(ended, fence)
        publish_end(self._components.bus, ended, abandoned=joined(" ", (problem.message, problem.hint)))
        return ended
