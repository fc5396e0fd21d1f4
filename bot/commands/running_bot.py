"""Find the bot that lives for this state folder, if there is one."""

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from roas.concurrency import pause
from roas.control.client import ControlClient
from roas.control.error_documents import ControlUnavailableError
from roas.control.socket_path import SOCKET_NAME
from roas.errors import StateError
from roas.state.instance import INSTANCES, Instance

# A bot that has just been started is given this long until it listens.
STARTING_SECONDS = 10.0
# Who only asks can do so without it.
ASKING_SECONDS = 2.0
LOOK_AGAIN_SECONDS = 0.2


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
            raise _closed(folder) from error
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


def _closed(folder: Path) -> StateError:
    return StateError(
        f"The state folder {folder} is closed to this user.",
        hint="Run the command as the user whose folder it is, or as root.",
    )
