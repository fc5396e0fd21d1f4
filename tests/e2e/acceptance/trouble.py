"""Make trouble for a maintained stack, and wait for what its alerts say."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

from roas.app.application import Application
from roas.models.alert import Alert, AlertSource
from testbed.waiting import rest_after
from tests.e2e.acceptance.stack import Stack

WAIT_SECONDS = 40.0
POLL_SECONDS = 0.1
Found = TypeVar("Found")


def kill_process(stack: Stack, name: str) -> None:
    """Kill a service's process as an accident would: from outside the engine."""
    pid = stack.container(name).attrs["State"]["Pid"]
    assert pid > 0, f"{name} does not run"  # 0 would be our own process group
    os.kill(pid, signal.SIGKILL)


async def inside(stack: Stack, name: str, *command: str) -> None:
    """Run a command in a service's container."""
    await asyncio.to_thread(stack.container(name).exec_run, list(command))


async def of_services(application: Application) -> tuple[Alert, ...]:
    """Return the alerts about services, open or not; a busy machine makes some about the bot itself."""
    return tuple(alert for alert in await application.state.alerts.all() if alert.source is AlertSource.HEALTH)


async def alert_that(application: Application, holds: Callable[[Alert], bool], seconds: float = WAIT_SECONDS) -> Alert:
    """Wait until an alert about a service is as described."""

    async def found() -> Alert | None:
        return next((service for service in await of_services(application) if holds(service)), None)

    return await until(found, seconds)


async def until(look: Callable[[], Awaitable[Found | None]], seconds: float = WAIT_SECONDS) -> Found:
    """Look until something is found, the less often the more a look takes."""
    clock = asyncio.get_running_loop().time
    async with asyncio.timeout(seconds):
        begun = clock()
        while not (found := await look()):
            await asyncio.sleep(rest_after(clock() - begun, POLL_SECONDS))
            begun = clock()
        return found


def is_over(alert: Alert) -> bool:
    """Tell whether an alert is resolved."""
    return not alert.is_open
