"""Do to the bots what a kernel, a bug or an operator does; the engine is not asked to do it."""

import asyncio
import os
import signal
import time
from contextlib import suppress

from roas.state.manager import StateManager
from testbed.compose_labels import SERVICE_LABEL
from testbed.container_processes import hit
from tools.campaigns.crash.lane import Lane
from tools.campaigns.crash.points import Role
from tools.campaigns.crash.renewing import NAMES, STEM

TORN_SECONDS = 15.0
USURPED_SECONDS = 3.0


def kill(lane: Lane, roles: tuple[Role, ...]) -> frozenset[int]:
    """Kill the first process of each bot's container, which takes the rest along; returns the ids of the killed."""
    killed = set()
    for bot in [bot for role in roles if (bot := lane.bot(role)) is not None]:
        with suppress(ProcessLookupError):
            os.kill(bot.pid, signal.SIGKILL)
            killed.add(bot.pid)
    return frozenset(killed)


def signal_all(lane: Lane, role: Role, number: signal.Signals) -> bool:
    """Send a signal to every process of a bot; returns whether it was there to be hit."""
    bot = lane.bot(role)
    if bot is not None:
        hit(lane.home.client.containers.get(bot.id), number)
    return bot is not None


async def kill_when_created(lane: Lane, role: Role, service: str, delay_seconds: float) -> frozenset[int]:
    """Let a bot go on, and kill it and so its Compose children a moment after a container of a service is created."""
    before = await asyncio.to_thread(_ids, lane, service)
    lane.gate.release()
    deadline = time.monotonic() + TORN_SECONDS
    while time.monotonic() < deadline:
        if await asyncio.to_thread(_ids, lane, service) - before:
            await asyncio.sleep(delay_seconds)
            return await asyncio.to_thread(kill, lane, (role,))
        await asyncio.sleep(0)
    return frozenset()


async def usurp(lane: Lane) -> bool:
    """Seize everything as one more process, let the former owner wake up, and die; returns whether it could.

    Its first process is stopped meanwhile: it wakes up between its check and its next act.
    """
    async with StateManager(lane.state_dir, instance_prefix="USURPER") as state:
        lease = await state.ownership.lease()
        taken = lease is not None and await state.ownership.seize(lease) is not None
        for role in Role:
            await asyncio.to_thread(signal_all, lane, role, signal.SIGCONT)
        lane.gate.release()
        if taken:
            await asyncio.sleep(USURPED_SECONDS)
    return taken


async def restart_engine(lane: Lane, *, live_restore: bool) -> None:
    """Restart the engine under everybody, with or without its containers; suspended processes go on as it stops."""
    await asyncio.to_thread(lane.daemon.keep_containers, wanted=live_restore)
    restart = asyncio.create_task(asyncio.to_thread(lane.daemon.restart))
    await asyncio.sleep(0)
    lane.gate.release()
    await restart


def _ids(lane: Lane, service: str) -> frozenset[str]:
    """Return the containers of a service; a point calls the one that is new each time by what its names share."""
    names = NAMES if service == STEM else (service,)
    listed = lane.home.client.api.containers(all=True, filters={"label": SERVICE_LABEL})
    return frozenset(item["Id"] for item in listed if item["Labels"][SERVICE_LABEL] in names)
