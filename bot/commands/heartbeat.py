"""Send heartbeats of a command line while it may run a deployment: another process takes over from a hung one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from roas.concurrency import end_tasks, pause
from roas.errors import StateError
from roas.log import get_logger
from roas.models.ownership import Heartbeat
from roas.state.boot_clock import boot_id, boot_seconds
from roas.state.manager import StateManager
from roas.state.process_marks import this_process
from roas.version import __version__

log = get_logger(__name__)

BEAT_SECONDS = 1.0


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
