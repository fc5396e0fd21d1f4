"""Wait for what Swarm does by itself for a service that is down, and find out what that was."""

import asyncio
import time
from datetime import datetime, timedelta

from roas.errors import RoasError
from roas.messages.message import joined, said
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.stack.containers.watch import ContainerWatch
from roas.stack.stack import Stack

# How long Swarm is given for it.
WAIT_SECONDS = 90.0
# What runs again may end at once, and only a health check would say so.
SETTLE_SECONDS = 4.0
# Swarm may have replaced a task before its end was seen here, by another clock.
EARLIER = timedelta(seconds=15)


async def wait_for_tasks(stack: Stack, service: str) -> str | None:
    """Wait until the tasks of a service run, and stay; returns why that cannot be said, or None."""
    well_since: float | None = None
    ids: frozenset[str] = frozenset()
    try:
        async with asyncio.timeout(WAIT_SECONDS), ContainerWatch(stack) as watch:
            while True:
                own = watch.of_service(service)
                if any(
                    container.state is ContainerState.EXITED and container.restart_policy == "no" for container in own
                ):
                    return said("Swarm starts it not again: its restart policy says so")
                if not all(map(_runs, own)) or not own:
                    well_since = None
                elif well_since is None or ids != {container.id for container in own}:
                    well_since, ids = time.monotonic(), frozenset(container.id for container in own)
                elif time.monotonic() - well_since >= SETTLE_SECONDS:
                    return None
                await watch.changed_within(SETTLE_SECONDS)
    except TimeoutError:
        seconds = f"{WAIT_SECONDS:g}"
        return said("Swarm starts its tasks again by itself, and within {seconds} s none stayed", seconds=seconds)
    except RoasError as error:
        return error.message


async def what_swarm_did(stack: Stack, service: str, since: datetime) -> str:
    """Say which tasks of a service Swarm replaced since an alert began; empty where it replaced none."""
    try:
        return joined("; ", await stack.replacements(service, since - EARLIER))
    except RoasError as error:
        return error.message


def _runs(task: ContainerSnapshot) -> bool:
    return task.state is ContainerState.RUNNING and task.health in {HealthStatus.NONE, HealthStatus.HEALTHY}
