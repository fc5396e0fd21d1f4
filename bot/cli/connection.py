"""Send heartbeats of a command line while it may run a deployment: another process takes over from a hung one."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from pathlib import Path

from roas.api.application import follow_journal
from roas.api.client import ControlClient
from roas.api.control_socket import SOCKET_NAME, serve
from roas.api.documents import ControlUnavailableError
from roas.app.application import Application, open_application
from roas.cli.running import Session
from roas.concurrency import end_tasks, pause
from roas.errors import InvalidRequestError, StateError
from roas.leadership.leader_tasks import control_api
from roas.log import get_logger
from roas.models.actor import Actor
from roas.models.deployment import Deployment
from roas.models.ownership import Heartbeat
from roas.models.rollout import Choice
from roas.stack.containers.own_container import own_container_id
from roas.state.instance import INSTANCES, Instance, boot_id, boot_seconds, this_process
from roas.state.manager import StateManager
from roas.temporary import temporary_folder
from roas.version import __version__

log = get_logger(__name__)

BEAT_SECONDS = 1.0
# A bot that has just been started is given this long until it listens.
STARTING_SECONDS = 10.0
# Who only asks can do so without it.
ASKING_SECONDS = 2.0
LOOK_AGAIN_SECONDS = 0.2
# The restart policy starts a dead bot again; until then no other process needs to run the deployment.
ORPHANED_SECONDS = 60.0
LOOK_FOR_BOT_SECONDS = 5.0


@asynccontextmanager
async def send_heartbeats(state: StateManager) -> AsyncIterator[None]:
    """Write a heartbeat now and every second until the block ends. Raises StateError where the first fails."""
    await _beat(state)
    task = asyncio.create_task(_keep_beating(state), name="heartbeat")
    try:
        yield
    finally:
        await end_tasks(task)


async def _keep_beating(state: StateManager) -> None:
    while True:
        await pause(BEAT_SECONDS)
        try:
            await _beat(state)
        except StateError as error:
            log.warning("the heartbeat cannot be written", error=error.message)


async def _beat(state: StateManager) -> None:
    await state.ownership.beat(
        Heartbeat(state.instance_id, boot_id(), boot_seconds(), version=__version__, process=this_process())
    )


class Connection:
    """Act through the API of the running bot or, with an `application`, of this process.

    Where the bot goes away, the journal, in which the next one carries on, says the rest. `client` asks all else.
    """

    def __init__(self, client: ControlClient, folder: Path, application: Application | None = None) -> None:
        self.client = client
        self._folder = folder
        self._application = application
        # Whether the bot that was asked has passed the deployment on, and its container, which goes, may be this one.
        self.may_end_with_container = False

    @property
    def is_bot(self) -> bool:
        """Return whether what was asked for goes on when this process ends."""
        return self._application is None

    async def resume(self, environment: str) -> tuple[Deployment, ...]:
        """Take up what a dead process left, and return it; a bot has done so at its start.

        Raises InvalidRequestError in a container that a deployment of the environment may replace.
        """
        if self._application is None:
            return ()
        await _refuse_own_container(self._application, environment)
        return await self._application.orchestrator.resume()

    async def cancel(self, deployment_id: str, actor: Actor) -> Deployment:
        """Ask a deployment to stop; where the bot is unavailable, through the journal."""
        try:
            return await self.client.cancel(deployment_id, actor)
        except ControlUnavailableError:
            async with StateManager(self._folder, instance_prefix="CLI") as state:
                return await state.deployments.request_cancel(deployment_id, actor)

    async def decide(self, deployment_id: str, choice: Choice, actor: Actor) -> Deployment:
        """Let it resume, or take it back; where the bot is unavailable, through the journal."""
        try:
            return await self.client.decide(deployment_id, choice, actor)
        except ControlUnavailableError:
            async with StateManager(self._folder, instance_prefix="CLI") as state:
                return await state.deployments.decide(deployment_id, choice, actor)

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
        application = await stack.enter_async_context(
            open_application(session.settings, instance_prefix="CLI", read_only=read_only)
        )
        await stack.enter_async_context(send_heartbeats(application.state))
        folder = stack.enter_context(temporary_folder("api"))
        await stack.enter_async_context(serve(control_api(application), folder))
        client = await stack.enter_async_context(ControlClient(folder))
        yield Connection(client, session.state_dir, application)


async def find_running_bot(
    folder: Path, stack: AsyncExitStack, *, silent_seconds: float = STARTING_SECONDS
) -> ControlClient | None:
    """Return a client of the running bot, which `stack` closes; None where no bot lives.

    One that is just starting is waited for; one that takes the question and is silent for `silent_seconds` hangs.
    Raises ControlUnavailableError where one lives that does not answer, StateError where the folder is closed to us.
    """
    deadline, is_silent = time.monotonic() + STARTING_SECONDS, False
    while True:
        try:
            if (folder / SOCKET_NAME).exists():
                try:
                    client = await _greeted(folder, stack, silent_seconds)
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
        await pause(LOOK_AGAIN_SECONDS)


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


async def _greeted(folder: Path, stack: AsyncExitStack, silent_seconds: float) -> ControlClient | None:
    """Return a client when a bot answers; the socket of a dead bot gives no answer. Raises TimeoutError."""
    async with AsyncExitStack() as trial:
        client = await trial.enter_async_context(ControlClient(folder))
        with suppress(ControlUnavailableError):
            async with asyncio.timeout(silent_seconds):
                await client.greet()
            stack.push_async_exit(trial.pop_all().__aexit__)
            return client
    return None


async def _refuse_own_container(application: Application, name: str) -> None:
    environment = application.orchestrator.environment(name)
    probe = application.stacks.of(environment).probe()
    if not probe.in_container():
        return
    own = await probe.own_container()
    if own is not None and own.project == environment.project:
        raise InvalidRequestError(
            f"This command runs in {own.name}, a container of {name} that the deployment may replace:"
            " it would end itself in the middle.",
            hint="Start the bot and type the same again, or run the command on the host.",
        )
