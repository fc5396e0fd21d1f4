"""Do to a container's processes what a kernel or a bug does, from the host: Docker is not asked."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import docker

from testbed.home_stack import Home
from testbed.waiting import rest_after

ACTIVE = "this bot leads now"
# A look asks an engine, and mostly for a log: what is waited for takes seconds.
POLL_SECONDS = 0.2


def processes(container: Any) -> list[int]:
    """Return the host's ids of a container's processes, its first one first."""
    container.reload()
    first = int(container.attrs["State"]["Pid"])
    with suppress(docker.errors.APIError):
        rows = container.top(ps_args="-eo pid")["Processes"]
        return [first, *(pid for row in rows if (pid := int(row[0])) != first)]
    return [first] if first else []


def hit(container: Any, number: signal.Signals) -> None:
    """Send a signal to every process of a container."""
    for pid in processes(container):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


async def until(found: Callable[[], Any], what: str, *, seconds: float) -> Any:
    """Poll until there is a result, and return it."""
    async with asyncio.timeout(seconds):
        while True:
            begun = time.monotonic()
            with suppress(docker.errors.NotFound):
                if (value := await asyncio.to_thread(found)) is not None:
                    return value
            await asyncio.sleep(rest_after(time.monotonic() - begun, POLL_SECONDS))
    raise AssertionError(what)


async def successor(home: Home, *known: str, active: bool, seconds: float = 150) -> Any:
    """Wait for a bot beside those that were known before, by their ids: to be there, or to be the leader.

    Who is quick may be there before anybody waits for it.
    """

    def found() -> Any:
        for bot in home.bots(sparse=True):
            if bot.id not in known and (not active or ACTIVE in bot.logs().decode()):
                return home.client.containers.get(bot.id)
        return None

    return await until(found, "no successor", seconds=seconds)
