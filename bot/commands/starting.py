"""Ask for a deployment to be started, once, and let the person at the keyboard leave a bot that does not answer."""

import asyncio

from roas.api.client import ANSWER_SECONDS
from roas.api.documents import ControlUnavailableError
from roas.commands.connection import Connection
from roas.commands.interruption import Interruption
from roas.commands.session import Session
from roas.concurrency import begun
from roas.models.deployment import Deployment, DeploymentRequest

# Whoever waits for longer is told what for.
UNANSWERED_SECONDS = 5.0


class UnansweredStartError(Exception):
    """The person has left before the bot said whether it starts the deployment; the text is what to do next."""


async def start_deployment(
    session: Session,
    connection: Connection,
    request: DeploymentRequest,
    wanted: "asyncio.Queue[Interruption]",
    *,
    confirmed: bool,
) -> Deployment:
    """Start it. Raises UnansweredStartError where the person leaves, ControlUnavailableError where no answer comes.

    A bot that hangs is asked no second time: it reads the first request once it goes on. So what was asked for stays
    asked for, whoever leaves. Whoever wants to cancel has that done when there is something to cancel.
    """
    if not connection.is_bot:
        return await connection.client.start(request, confirmed=confirmed)
    notice = asyncio.get_running_loop().call_later(UNANSWERED_SECONDS, _say_what_is_waited_for, session)
    try:
        async with begun(connection.client.start(request, confirmed=confirmed)) as starting:
            await _until_answered(session, request, starting, wanted)
            return await starting
    except ControlUnavailableError as error:
        raise ControlUnavailableError(error.message, hint=_next(request)) from error
    finally:
        notice.cancel()


async def _until_answered(
    session: Session,
    request: DeploymentRequest,
    starting: "asyncio.Task[Deployment]",
    wanted: "asyncio.Queue[Interruption]",
) -> None:
    kept: list[Interruption] = []
    while not starting.done():
        async with begun(wanted.get()) as pressed:
            await asyncio.wait({starting, pressed}, return_when=asyncio.FIRST_COMPLETED)
            if not pressed.done():
                continue
            if pressed.result() is Interruption.LEAVE and not starting.done():
                raise UnansweredStartError(_next(request))
            kept.append(pressed.result())
        if not starting.done():
            session.terminal.say(
                "It is cancelled as soon as the bot has answered. Ctrl-C once more leaves it alone.", on_err=True
            )
    for one in kept:
        wanted.put_nowait(one)


def _say_what_is_waited_for(session: Session) -> None:
    session.terminal.say(
        f"The bot has not answered yet. It is asked only once, and waited for, for at most {ANSWER_SECONDS:g} s."
        " Ctrl-C cancels the deployment as soon as the bot answers; Ctrl-C twice leaves now, and the bot may still"
        " start it.",
        on_err=True,
    )


def _next(request: DeploymentRequest) -> str:
    name = request.environment
    return (
        "The bot may still start the deployment, or have done so. See `roas status"
        f" {name}` before you ask again; `roas cancel {name}` stops it."
    )
