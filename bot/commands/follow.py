"""Follow a deployment to its end, and let the person at the keyboard cancel it or leave."""

import asyncio
from contextlib import aclosing
from typing import Protocol

from roas.commands.connection import Connection
from roas.commands.interruption import Interruption
from roas.commands.progress_lines import ProgressLines
from roas.commands.progress_screen import ProgressScreen
from roas.commands.session import Session
from roas.commands.terminal import Terminal
from roas.concurrency import end_tasks
from roas.errors import InternalFaultError, RoasError
from roas.models.deployment import Deployment

WITH_CONTAINER = (
    "Another bot carries it on. Where this command runs in the old bot's container, it ends with that, with code 137: "
    "`roas history {environment} --limit 1`, in the new one, says how the deployment ended."
)


class Progress(Protocol):
    """Show how far a deployment has come."""

    def __enter__(self) -> "Progress":
        """Begin to show."""
        ...

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was."""
        ...

    def note(self, text: str) -> None:
        """Show a remark."""
        ...

    def update(self, deployment: Deployment) -> None:
        """Show another state."""
        ...


class DetachedError(Exception):
    """The person has left before the end; `deployment_id` is what was left."""

    def __init__(self, deployment_id: str, *, continues: bool) -> None:
        super().__init__(deployment_id)
        self.deployment_id = deployment_id
        self.continues = continues


def progress_on(terminal: Terminal) -> Progress:
    """Choose a screen for a terminal, lines for everything else."""
    if terminal.draws:
        return ProgressScreen(terminal)

    return ProgressLines(terminal)


async def follow_deployment(
    session: Session, connection: Connection, deployment_id: str, wanted: "asyncio.Queue[Interruption]"
) -> Deployment:
    """Show the progress and return the record with the outcome. Raises DetachedError, ControlUnavailableError."""
    with progress_on(session.terminal) as progress:
        following = asyncio.create_task(_show(connection, deployment_id, progress), name="following")
        listening = asyncio.create_task(wanted.get(), name="keyboard")
        try:
            while True:
                await asyncio.wait({following, listening}, return_when=asyncio.FIRST_COMPLETED)
                if following.done():
                    return following.result()
                if listening.result() is Interruption.LEAVE:
                    raise DetachedError(deployment_id, continues=connection.is_bot)
                progress.note(await _cancel(session, connection, deployment_id))
                listening = asyncio.create_task(wanted.get(), name="keyboard")
        finally:
            await end_tasks(following, listening)


async def _show(connection: Connection, deployment_id: str, progress: Progress) -> Deployment:
    noted = False
    async with aclosing(connection.follow(deployment_id)) as records:
        async for record in records:
            progress.update(record)
            if connection.may_end_with_container and not noted and not record.finished:
                noted = True
                progress.note(WITH_CONTAINER.format(environment=record.request.environment))
            if record.finished:
                return record
    raise InternalFaultError(f"{deployment_id} was followed, but its end was not seen.", hint="See `history`.")


async def _cancel(session: Session, connection: Connection, deployment_id: str) -> str:
    """Ask it to stop, and say so."""
    try:
        await connection.cancel(deployment_id, session.user)
    except RoasError as error:
        return f"It cannot be cancelled: {error.message}"
    return "Asked to cancel: it stops at the next safe point. Ctrl-C once more leaves it alone."
