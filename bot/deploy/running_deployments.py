"""Run deployments, each in a task of its own, and know which of them stopped."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Protocol

from roas.concurrency import end_tasks
from roas.deploy.context import DeploymentContext
from roas.errors import FencedOffError, JournalLostError, JournalUnusableError, ShortageError
from roas.limits import PATIENTLY, Backoffs
from roas.log import get_logger
from roas.models.actor import Actor
from roas.models.deployment import Deployment
from roas.shortages import find_shortage

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
