"""Connect a command to the running bot; where none lives, to the same application in the command's own process."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from pathlib import Path

from roas.api.control_client import ControlClient
from roas.api.documents import ControlUnavailableError, StatusReport
from roas.api.following import follow_journal
from roas.api.socket_path import SOCKET_NAME
from roas.cli.running import Session
from roas.concurrency import end_tasks, pause
from roas.errors import StateError
from roas.limits import ORPHANED_SECONDS
from roas.models.actor import Actor
from roas.models.deployment import Deployment
from roas.models.environment import Environment
from roas.models.rollout import Choice
from roas.stack.containers.own_container import own_container_id
from roas.state.living_processes import INSTANCES, Instance
from roas.state.manager import StateManager

Resume = Callable[[str], Awaitable[tuple[Deployment, ...]]]
# A bot that has just been started is given this long until it listens.
STARTING_SECONDS = 10.0
# Who only asks can do so without it.
ASKING_SECONDS = 2.0
LOOK_SECONDS = 0.2
LOOK_FOR_BOT_SECONDS = 5.0


class Connection:
    """Act through the API of the running bot or, where it can `resume`, of this process.

    Where the bot goes away, the journal, in which the next one carries on, says the rest. `client` asks all else.
    """

    def __init__(self, client: ControlClient, folder: Path, resume: Resume | None = None) -> None:
        self.client = client
        self._folder = folder
        self._resume = resume
        # Whether the bot that was asked has passed the deployment on, and its container, which goes, may be this one.
        self.may_end_with_container = False

    @property
    def is_bot(self) -> bool:
        """Return whether what was asked for goes on when this process ends."""
        return self._resume is None

    async def resume(self, environment: str) -> tuple[Deployment, ...]:
        """Take up what a dead process left, and return it; a bot has done so at its start.

        Raises InvalidRequestError in a container that a deployment of the environment may replace.
        """
        return await self._resume(environment) if self._resume is not None else ()

    async def cancel(self, deployment_id: str, actor: Actor, reason: str = "") -> Deployment:
        """Ask a deployment to stop; where the bot is unavailable, through the journal."""
        try:
            return await self.client.cancel(deployment_id, actor, reason)
        except ControlUnavailableError:
            async with StateManager(self._folder, instance_prefix="CLI") as state:
                return await state.deployments.request_cancel(deployment_id, actor, reason)

    async def decide(self, deployment_id: str, choice: Choice, actor: Actor, reason: str = "") -> Deployment:
        """Let it resume, or take it back; where the bot is unavailable, through the journal."""
        try:
            return await self.client.decide(deployment_id, choice, actor, reason)
        except ControlUnavailableError:
            async with StateManager(self._folder, instance_prefix="CLI") as state:
                return await state.deployments.decide(deployment_id, choice, actor, reason)

    async def follow(self, deployment_id: str) -> AsyncGenerator[Deployment, None]:
        """Yield its record at each change until it has ended.

        Raises ControlUnavailableError where no bot answers for a minute.
        """
        try:
            async with aclosing(self.client.follow(deployment_id)) as records:
                async for record in records:
                    yield record
                return
        except ControlUnavailableError:
            if not self.is_bot:
                raise
        self.may_end_with_container = own_container_id() is not None
        async with aclosing(follow_successor(self._folder, deployment_id)) as records:
            async for record in records:
                yield record


@asynccontextmanager
async def open_connection(session: Session, *, read_only: bool = False) -> AsyncIterator[Connection]:
    """Connect to the running bot, or to this process, which makes no journal where it `read_only` and there is none.

    Raises ControlUnavailableError, StateError.
    """
    async with AsyncExitStack() as stack:
        client = await find_running_bot(session.state_dir, stack)
        if client is not None:
            yield Connection(client, session.state_dir)
            return
        # All of the bot, which takes a second to load.
        from roas.cli.own_process import serve_itself

        served, resume = await stack.enter_async_context(serve_itself(session, read_only=read_only))
        yield Connection(served, session.state_dir, resume)


async def read_status_itself(session: Session, wanted: Sequence[Environment]) -> StatusReport:
    """Read the journal and ask the engine in this process, beside a bot that does not answer. Raises RoasError."""
    from roas.cli.own_process import read_environments

    return await read_environments(session, wanted)


async def find_running_bot(
    folder: Path, stack: AsyncExitStack, *, unanswered_seconds: float = STARTING_SECONDS
) -> ControlClient | None:
    """Return a client of the running bot, which `stack` closes; None where no bot lives.

    One that is just starting is waited for; one that takes the question and is silent for `unanswered_seconds` hangs.
    Raises ControlUnavailableError where one lives that does not answer, StateError where the folder is closed to us.
    """
    deadline, is_silent = time.monotonic() + STARTING_SECONDS, False
    while True:
        try:
            if (folder / SOCKET_NAME).exists():
                try:
                    client = await _greeted(folder, stack, unanswered_seconds)
                except TimeoutError:
                    client, is_silent = None, True
                if client is not None:
                    return client
            living = running_bots(folder)
        except PermissionError as error:
            raise StateError(
                f"The state folder {folder} is closed to this user.",
                hint="Run the command as the user whose folder it is, or as root.",
            ) from error
        if not living:
            return None
        if is_silent or time.monotonic() > deadline:
            raise ControlUnavailableError(
                f"A bot is running ({', '.join(living)}), but it does not answer on {folder / SOCKET_NAME}.",
                hint="It may be starting, or hang: look at its log. Stop it, and the command line does its work.",
            )
        await pause(LOOK_SECONDS)


def running_bots(folder: Path) -> tuple[str, ...]:
    """Return the ids of the bots that live, by the locks that they hold."""
    return Instance(folder / INSTANCES, "CLI").living("BOT")


async def follow_successor(folder: Path, deployment_id: str) -> AsyncGenerator[Deployment, None]:
    """Follow a deployment whose bot stopped, or hangs, through the journal, in which the next bot continues it.

    Raises ControlUnavailableError where no bot answers for a minute.
    """
    async with (
        StateManager(folder, instance_prefix="CLI") as state,
        aclosing(follow_journal(state, deployment_id)) as records,
    ):
        following = asyncio.ensure_future(anext(records, None))
        try:
            while (record := await _next_record(following, folder, deployment_id)) is not None:
                yield record
                following = asyncio.ensure_future(anext(records, None))
        finally:
            await end_tasks(following)


async def _next_record(
    following: "asyncio.Future[Deployment | None]", folder: Path, deployment_id: str
) -> Deployment | None:
    alone_since = time.monotonic()
    while not following.done():
        await asyncio.wait({following}, timeout=LOOK_FOR_BOT_SECONDS)
        if await _answers(folder):
            alone_since = time.monotonic()
        elif time.monotonic() - alone_since > ORPHANED_SECONDS:
            raise ControlUnavailableError(
                f"The bot that ran {deployment_id} is gone, or hangs, and none has resumed it for "
                f"{ORPHANED_SECONDS:g} s.",
                hint="Start the bot, again if it hangs: it resumes the deployment. Or, where none runs, run the next "
                "command here: it resumes the deployment first.",
            )
    return following.result()


async def _answers(folder: Path) -> bool:
    """Return whether a bot lives that answers: one that hangs resumes nothing."""
    if not running_bots(folder):
        return False
    with suppress(ControlUnavailableError):
        async with ControlClient(folder) as client:
            await client.greet()
            return True
    return False


async def _greeted(folder: Path, stack: AsyncExitStack, unanswered_seconds: float) -> ControlClient | None:
    """Return a client when a bot answers; the socket of a dead bot gives no answer. Raises TimeoutError."""
    async with AsyncExitStack() as trial:
        client = await trial.enter_async_context(ControlClient(folder))
        with suppress(ControlUnavailableError):
            async with asyncio.timeout(unanswered_seconds):
                await client.greet()
            stack.push_async_exit(trial.pop_all().__aexit__)
            return client
    return None
