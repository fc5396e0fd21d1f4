"""Do without a bot: the whole application in this process. Only what acts or looks without one loads it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from roas.api.application import read_report
from roas.api.control_client import ControlClient
from roas.api.control_socket import serve
from roas.api.documents import StatusReport
from roas.app.application import Application, open_application
from roas.cli.running import Session, warn_of_first_use
from roas.concurrency import begun, end_tasks, pause
from roas.errors import InvalidRequestError, JournalLostError, RoasError, StateError
from roas.log import get_logger
from roas.models.deployment import Deployment
from roas.models.environment import Environment
from roas.models.leader_lease import Heartbeat
from roas.state.living_processes import boot_id, boot_seconds, this_process
from roas.state.manager import StateManager
from roas.temporary import temporary_folder
from roas.version import __version__

log = get_logger(__name__)

BEAT_SECONDS = 1.0
Resume = Callable[[str], Awaitable[tuple[Deployment, ...]]]


@asynccontextmanager
async def serve_itself(session: Session, *, read_only: bool) -> AsyncIterator[tuple[ControlClient, Resume]]:
    """Serve the API to this process alone; provide its client, and what resumes deployments of dead processes.

    No journal is made where it is `read_only` and there is none. Raises StateError.
    """
    async with AsyncExitStack() as stack:
        application = await stack.enter_async_context(
            open_application(session.settings, instance_prefix="CLI", read_only=read_only)
        )
        await stack.enter_async_context(send_heartbeats(application.state, partial(session.terminal.say, on_err=True)))
        await stack.enter_async_context(begun(_resume_stopped(application)))
        folder = stack.enter_context(temporary_folder("api"))
        await stack.enter_async_context(serve(application.control_api, folder))
        client = await stack.enter_async_context(ControlClient(folder))
        yield client, partial(resume, application)


async def read_environments(session: Session, wanted: Sequence[Environment]) -> StatusReport:
    """Read how environments are from the journal and the engine. Raises RoasError."""
    warn_of_first_use(session)
    async with open_application(session.settings, instance_prefix="CLI", read_only=True) as application:
        return await read_report(wanted, application.state, application.collector)


async def resume(application: Application, environment: str) -> tuple[Deployment, ...]:
    """Resume what a dead process left, and return it.

    Raises InvalidRequestError in a container that a deployment of the environment may replace.
    """
    await _refuse_own_container(application, environment)
    return await application.orchestrator.resume()


async def _refuse_own_container(application: Application, name: str) -> None:
    for environment in application.orchestrator.environment(name).by_host:
        await _refuse_container_of(application, environment)


async def _refuse_container_of(application: Application, environment: Environment) -> None:
    probe = application.stacks.of(environment).probe()
    if not probe.in_container():
        return
    own = await probe.own_container()
    if own is not None and own.project == environment.project:
        raise InvalidRequestError(
            f"This command runs in {own.name}, a container of {environment.name} that the deployment may replace:"
            " it would end itself in the middle.",
            hint="Start the bot and type the same again, or run the command on the host.",
        )


async def _resume_stopped(application: Application) -> None:
    """Resume what this process began and the journal has stopped; apart from the heartbeats, which wait for no engine.

    Elsewhere the bot's leader does so.
    """
    while True:
        await pause(BEAT_SECONDS)
        try:
            await application.orchestrator.resume(own_only=True)
        except RoasError as error:
            log.warning("what has stopped cannot be resumed yet", error=error.message)
        except Exception:  # otherwise it would stand still for good
            log.exception("what has stopped cannot be resumed yet")


def _untold(_text: str) -> None:
    """Tell nobody."""


@asynccontextmanager
async def send_heartbeats(state: StateManager, notify: Callable[[str], None] = _untold) -> AsyncIterator[None]:
    """Write a heartbeat now and every second until the block ends, and tell where the journal cannot be written.

    Raises StateError where the first fails.
    """
    await _beat(state)
    task = asyncio.create_task(_keep_beating(state, notify), name="heartbeat")
    try:
        yield
    finally:
        await end_tasks(task)


async def _keep_beating(state: StateManager, notify: Callable[[str], None]) -> None:
    is_told = False
    while True:
        await pause(BEAT_SECONDS)
        try:
            await _beat(state)
        except StateError as error:
            log.warning("the heartbeat cannot be written", error=error.message)
            if not is_told:
                notify(f"warning: {error.message}")
                if not isinstance(error, JournalLostError):
                    notify("→ What is under way goes on once the journal can be written again.")
            is_told = True
        else:
            if is_told:
                notify("The journal can be written again.")
            is_told = False


async def _beat(state: StateManager) -> None:
    await state.ownership.beat(
        Heartbeat(state.instance_id, boot_id(), boot_seconds(), version=__version__, process=this_process())
    )
