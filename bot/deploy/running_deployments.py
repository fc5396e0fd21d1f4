"""Run deployments, each in a task of its own, and resume those that a dead process left."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from roas.concurrency import end_tasks
from roas.deploy.components import Components
from roas.deploy.context import SOURCE, DeploymentContext
from roas.deploy.data.backups import with_half_restored
from roas.deploy.data.stopped_writers import leave_backup
from roas.deploy.handover.own_service import sweep_leftovers
from roas.deploy.handover.peer_processes import PeerProcesses
from roas.deploy.handover.stale_instances import remove_stale_instances
from roas.errors import FencedOffError, JournalLostError, JournalUnusableError, RoasError, ShortageError, StateError
from roas.limits import MOST_ATTEMPTS, PATIENTLY, Backoffs
from roas.log import get_logger
from roas.messages.message import joined, said
from roas.models.actor import Actor
from roas.models.deployment import Deployment, Outcome, Problem
from roas.models.environment import Environment
from roas.models.events import DeploymentEnded, origin
from roas.shortages import find_shortage
from roas.state.deployments.locks import LockHeldError
from roas.state.transaction import Fence

log = get_logger(__name__)


class Run(Protocol):
    """Take a deployment to its end."""

    def run(self) -> Coroutine[Any, Any, Deployment]:
        """Run the rest of the deployment and return its record."""
        ...


class RunningDeployments:
    """Run deployments, stop them, and know which of those that stopped may be resumed here, and when."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[Deployment]] = {}
        self._contexts: dict[str, DeploymentContext] = {}
        self._beginning: set[str] = set()
        self._launched: set[str] = set()
        self._broke_off = Backoffs(PATIENTLY)  # what only the journal stopped (a full disk, say): that is no attempt
        self._lost_with: set[str] = set()
        self._transferring = False

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the ids of the deployments that run now."""
        return tuple(id_ for id_, task in self._tasks.items() if not task.done())

    @property
    def interrupted(self) -> tuple[str, ...]:
        """Return the ids of the deployments that run, and of those that stopped with a journal that was lost."""
        return tuple(sorted(self._lost_with | set(self.ids)))

    @property
    def is_transferring(self) -> bool:
        """Return whether they are being passed on: what was set down is for another process to resume."""
        return self._transferring

    def __contains__(self, deployment_id: str) -> bool:
        """Return whether a deployment has a task here, or is about to have one."""
        return deployment_id in self._tasks or deployment_id in self._beginning

    @contextmanager
    def beginning(self, deployment_id: str) -> Iterator[None]:
        """Count a deployment as one that runs here, for the length of the block that launches it.

        As soon as the journal has it, whoever looks for what dead processes left would take it for one of those.
        """
        self._beginning.add(deployment_id)
        try:
            yield
        finally:
            self._beginning.discard(deployment_id)

    def launch(self, context: DeploymentContext, run: Run) -> None:
        """Run a deployment in a task of its own."""
        id_ = context.deployment.id
        self._contexts[id_] = context
        self._launched.add(id_)
        task = asyncio.create_task(run.run(), name=id_)
        self._tasks[id_] = task
        task.add_done_callback(lambda done: self._ended(id_, done))

    async def wait(self, deployment_id: str) -> None:
        """Wait until a deployment has stopped here; raises what stopped it."""
        task = self._tasks.get(deployment_id)
        if task is not None:
            await asyncio.shield(task)

    def request_stop(self, deployment_id: str) -> None:
        """Ask a deployment, where it runs here, to stop at its next safe point."""
        if (context := self._contexts.get(deployment_id)) is not None:
            context.request_stop()

    def read_decision(self, deployment_id: str) -> None:
        """Let a deployment, where it waits here, see at once what a person chose."""
        if (context := self._contexts.get(deployment_id)) is not None:
            context.decided.set()

    def supersede(self, deployment_id: str, actor: Actor) -> None:
        """Let a deployment, where it runs here, end its watch at once."""
        if (context := self._contexts.get(deployment_id)) is not None:
            context.supersede(actor)

    async def close(self) -> None:
        """Stop all; the next process resumes them from their records."""
        await end_tasks(*self._tasks.values())

    def must_wait(self, deployment_id: str) -> bool:
        """Return whether it is too early to resume a deployment that only the journal stopped."""
        return self._broke_off.must_wait(deployment_id)

    def stopped_here(self, deployment_id: str) -> bool:
        """Return whether a deployment stopped here although this process lives: resuming it is no new attempt."""
        return deployment_id in self._broke_off

    def was_launched(self, deployment_id: str) -> bool:
        """Return whether a deployment was begun or resumed here, and not passed on since."""
        return deployment_id in self._launched

    @asynccontextmanager
    async def pause_others(self, deployment_id: str) -> AsyncIterator[None]:
        """Stop all deployments but one, at a moment that leaves nothing half done, while they are passed on.

        Where they are not, they are resumed again.
        """
        others = {id_: task for id_, task in self._tasks.items() if id_ != deployment_id}
        self._transferring = True
        try:
            await end_tasks(*others.values())
            yield
        except BaseException:
            for id_ in others:
                self._broke_off.failed(id_)
            raise
        else:
            self._launched -= set(others)
        finally:
            self._transferring = False

    def _ended(self, deployment_id: str, task: "asyncio.Task[Deployment]") -> None:
        """Read how a task ended, so that no exception is lost."""
        self._contexts.pop(deployment_id, None)
        self._tasks.pop(deployment_id, None)
        if task.cancelled():
            return
        error = task.exception()
        match find_shortage(error) or error if error is not None else None:
            case None:
                self._broke_off.forget(deployment_id)
            case FencedOffError() as error:
                self._broke_off.forget(deployment_id)
                self._launched.discard(deployment_id)  # it may be passed on to us again
                log.warning("deployment was taken over", deployment_id=deployment_id, error=error.message)
            case JournalLostError() as error:
                self._lost_with.add(deployment_id)
                log.error("deployment broke off", deployment_id=deployment_id, error=error.message, hint=error.hint)
            case (JournalUnusableError() | ShortageError()) as error:
                self._broke_off.failed(deployment_id)
                log.error("deployment broke off", deployment_id=deployment_id, error=error.message, hint=error.hint)
            case error:
                self._broke_off.forget(deployment_id)
                log.error("deployment broke", deployment_id=deployment_id, exc_info=error)


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
                await remove_stale_instances(components, environment, fence)
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
                await sweep_leftovers(self._components, environment)
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
        ended = replace(
            deployment,
            outcome=Outcome.FAILED,
            problem=problem,
            ended_at=datetime.now(UTC),
            duration_seconds=deployment.seconds_of_phases,
        )
        await self._components.state.deployments.finish(ended, fence)
        self._components.bus.publish(
            DeploymentEnded(
                outcome=Outcome.FAILED,
                kind=ended.request.kind,
                duration_seconds=ended.duration_seconds,
                abandoned=joined(" ", (problem.message, problem.hint)),
                **origin(ended, SOURCE),
            )
        )
        return ended
