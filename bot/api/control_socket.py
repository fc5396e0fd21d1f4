"""Serve the control API on the unix socket of the state folder."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiohttp import web

from roas.api.application import ControlApi
from roas.api.documents import ControlSocketHeldError
from roas.api.socket_path import SOCKET_NAME, short_path
from roas.concurrency import end_tasks, pause
from roas.errors import RoasError, StateError
from roas.limits import SOCKET_RETRY_SECONDS, SOCKET_TRIES
from roas.log import get_logger
from roas.messages.message import said

log = get_logger(__name__)

LOCK_NAME = f"{SOCKET_NAME}.lock"
SHUTDOWN_SECONDS = 0.5


class ControlSocket:
    """Answer the command line from `start` to `stop`; where the socket cannot be had, it is tried again."""

    def __init__(self, api: ControlApi, folder: Path) -> None:
        self._api = api
        self._folder = folder
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to listen, or to wait for the predecessor to give the socket away."""
        self._task = asyncio.create_task(self._serve(), name="control socket")

    async def stop(self) -> None:
        """Stop listening."""
        if self._task is not None:
            await end_tasks(self._task)

    async def _serve(self) -> None:
        logged, held = False, 0
        while True:
            try:
                async with serve_control_socket(self._api, self._folder):
                    await asyncio.get_running_loop().create_future()
            except ControlSocketHeldError as error:
                held += 1
                if held == SOCKET_TRIES:
                    log.warning("the command line cannot reach this bot yet", error=error.message, hint=error.hint)
            except RoasError as error:
                if not logged:
                    log.error("the command line cannot reach this bot yet", error=error.message, hint=error.hint)
                logged = True
            await pause(SOCKET_RETRY_SECONDS)


@asynccontextmanager
async def serve_control_socket(api: ControlApi, folder: Path) -> AsyncIterator[Path]:
    """Serve the bot's socket in its state folder, and provide its path; a socket that a dead bot left is replaced.

    Raises ControlSocketHeldError where its bot lives, StateError where it cannot be made.
    """
    path = folder / SOCKET_NAME
    lock = _take_lock(folder)
    try:
        async with serve(api, folder):
            log.info("listening for the command line", path=str(path))
            yield path
    finally:
        with suppress(OSError):  # a folder that cannot be used now; whoever listens next replaces the socket
            path.unlink()
        os.close(lock)


@asynccontextmanager
async def serve(api: ControlApi, folder: Path) -> AsyncIterator[None]:
    """Serve on the socket of a folder that only this user may enter. Raises StateError where it cannot be made."""
    runner = web.AppRunner(api.application(), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    try:
        try:
            (folder / SOCKET_NAME).unlink(missing_ok=True)
            await runner.setup()
            with short_path(folder) as path:
                await web.UnixSite(runner, path).start()
            (folder / SOCKET_NAME).chmod(0o600)
        except OSError as error:
            raise _not_made(folder, error) from error
        yield
    finally:
        await runner.cleanup()


def _take_lock(folder: Path) -> int:
    """Acquire the lock that shows whose socket it is; the kernel releases it however the bot ends."""
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _not_made(folder, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise ControlSocketHeldError(
            said("Another bot answers on {folder} already.", folder=folder / SOCKET_NAME),
            hint=said("Stop the other bot, or give this one a STATE_DIR of its own."),
        ) from error
    return descriptor


def _not_made(folder: Path, error: OSError) -> StateError:
    return StateError(
        said(
            "The control socket {path} cannot be made: {strerror}",
            path=folder / SOCKET_NAME,
            strerror=error.strerror or error,
        ),
        hint=said("STATE_DIR must be a folder on a local file system that this user may write."),
    )
