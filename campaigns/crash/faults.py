"""Do to the bots what a kernel, a bug or an operator does; the engine is not asked to do it."""

import asyncio
import os
import signal
import time
from contextlib import suppress

from bot.state.manager import StateManager
from campaigns.crash.lane import LOOK_SECONDS, Lane
from campaigns.crash.points import Role
from testbed.container_processes import hit
from testbed.home_stack import SERVICE_LABEL

TORN_SECONDS = 15.0
USURPED_SECONDS = 3.0


def kill(lane: Lane, roles: tuple[Role, ...]) -> frozenset[int]:
    """Kill the first process of each bot's container, which takes the rest along; returns the ids of the killed."""
    bots = [bot for role in roles if (bot := lane.bot(role)) is not None]
    for bot in bots:
        with suppress(ProcessLookupError):
            os.kill(bot.pid, signal.SIGKILL)
    return frozenset(bot.pid for bot in bots)


def signal_all(lane: Lane, role: Role, number: signal.Signals) -> str:
    """Send a signal to every process of a bot, and return its container's id, or an empty text where it is gone."""
    bot = lane.bot(role)
    if bot is None:
        return ""
    hit(lane.home.client.containers.get(bot.id), number)
    return bot.id


async def kill_when_created(lane: Lane, role: Role, service: str, delay_seconds: float) -> frozenset[int]:
    """Kill a bot, and so its Compose children, a moment after they have created a container of a service."""
    before = await asyncio.to_thread(_ids, lane, service)
    deadline = time.monotonic() + TORN_SECONDS
    while time.monotonic() < deadline:
        if await asyncio.to_thread(_ids, lane, service) - before:
            await asyncio.sleep(delay_seconds)
            return await asyncio.to_thread(kill, lane, (role,))
        await asyncio.sleep(0)
    return frozenset()


async def usurp(lane: Lane) -> str:
    """Take everything over by force as one more process, let whoever had it wake up, and die; returns what failed.

    Its first process is stopped meanwhile: it wakes up between its check and its next act.
    """
    async with StateManager(lane.state_dir, instance_prefix="USURPER") as state:
        voice = await state.ownership.voice()
        if voice is None or await state.ownership.take_by_force(voice) is None:
            return "nothing could be taken over"
        for role in Role:
            await asyncio.to_thread(signal_all, lane, role, signal.SIGCONT)
        lane.gate.release()
        await asyncio.sleep(USURPED_SECONDS)
    return ""


async def restart_engine(lane: Lane, *, live_restore: bool) -> None:
    """Restart the engine under everybody, with or without its containers."""
    await asyncio.to_thread(lane.daemon.keep_containers, wanted=live_restore)
    await asyncio.to_thread(lane.daemon.restart)


async def wait_gone(lane: Lane, container_id: str, seconds: float) -> bool:
    """Tell whether a container was removed within some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if container_id not in {bot.id for bot in await asyncio.to_thread(lane.finder.containers)}:
            return True
        await asyncio.sleep(LOOK_SECONDS)
    return False


def _ids(lane: Lane, service: str) -> frozenset[str]:
    listed = lane.home.client.api.containers(all=True, filters={"label": f"{SERVICE_LABEL}={service}"})
    return frozenset(one["Id"] for one in listed)
