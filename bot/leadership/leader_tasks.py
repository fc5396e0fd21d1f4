"""Run what only the leader does, while this bot leads."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from roas.app.application import Application, LeaderTask
from roas.concurrency import end_tasks
from roas.errors import JournalLostError, StateError
from roas.leadership.elector import LeaderElector
from roas.leadership.shared_leadership import led_by_lease
from roas.log import get_logger
from roas.models.leader_lease import BotReadiness, JournalLoss
from roas.state.leadership import Leadership

log = get_logger(__name__)

# Report the loss of the journal without using it; retries until the message is posted.
NotifyOfLoss = Callable[[JournalLoss], Awaitable[None]]


@asynccontextmanager
async def run_leader_election(
    application: Application,
    readiness: Callable[[], BotReadiness],
    notify_of_loss: NotifyOfLoss | None = None,
) -> AsyncIterator[None]:
    """Run as leader or standby for the length of a block; take no action until it is known which.

    `notify_of_loss` reports, without the journal, that it was lost and that this bot no longer acts.
    """
    leadership = application.leadership
    leadership.lose()
    tasks = LeaderTasks(application.leader_tasks, leadership)

    async def stop(error: JournalLostError, container: str) -> None:
        """Stop everything that acts, the deployments first: there is no other bot to hand them over to."""
        leadership.lose()
        interrupted = await application.orchestrator.abandon()
        try:
            await tasks.stop()
        except Exception:  # everything has stopped; the loss must be reported all the same
            log.exception("leader tasks did not stop cleanly")
        rescued = await _rescue(application)
        if notify_of_loss is not None:
            await notify_of_loss(JournalLoss(error.message, error.hint, container, interrupted, rescued))

    async with led_by_lease(application, readiness):
        elector = LeaderElector(application, readiness, tasks.start, tasks.stop, stop)
        election = asyncio.create_task(elector.run(), name="leader elector")
        try:
            yield
        finally:
            await end_tasks(election)
            await tasks.stop()


async def _rescue(application: Application) -> str:
    """Copy what is left of a lost journal; returns where the copy is, empty where nothing whole could be copied."""
    try:
        copy = await application.state.rescue()
    except (StateError, OSError) as error:
        log.error("the lost journal could not be copied", error=str(error))
        return ""
    log.info("copied what was left of the lost journal", path=str(copy))
    return "" if copy is None else str(copy)


class LeaderTasks:
    """Start and stop what only the leader does: answer people, watch, resume what dead processes left."""

    def __init__(self, tasks: Sequence[LeaderTask], leadership: Leadership) -> None:
        self._tasks = tasks
        self._leadership = leadership
        self._started: AsyncExitStack | None = None

    async def start(self) -> None:
        """Start all tasks, or none where one cannot be started; running ones continue."""
        if self._started is None:
            async with AsyncExitStack() as started:
                for task in self._tasks:
                    await task.start()
                    started.push_async_callback(task.stop)
                self._started = started.pop_all()
        self._leadership.gain()

    async def stop(self) -> None:
        """Stop all tasks, the last one first, and step down."""
        self._leadership.lose()
        started, self._started = self._started, None
        if started is not None:
            await started.aclose()
