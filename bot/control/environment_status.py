"""Gather what is known of an environment for `status`."""

import asyncio
from typing import Protocol

from roas.control.documents import EnvironmentStatus
from roas.errors import RoasError
from roas.messages.message import said
from roas.models.environment import Environment
from roas.models.health import StackHealth
from roas.state.manager import StateManager

HEALTH_WITHIN_SECONDS = 20.0


class Collector(Protocol):
    """Hold the status of a stack."""

    async def collect_all_metrics(self, environment: Environment) -> StackHealth:
        """Look at an environment now; `fault` says why nothing is known. Raises RoasError."""
        ...


async def read_status(environment: Environment, state: StateManager, collector: Collector) -> EnvironmentStatus:
    """Return how an environment is; an engine that does not answer hides its health only."""
    found, fault = await _health(environment, collector)
    lock = await state.locks.get(environment.name)
    return EnvironmentStatus(
        environment=environment.name,
        project=environment.project,
        release=await state.releases.current(environment.name),
        active=await state.deployments.active(environment.name),
        lock=lock,
        health=found,
        fault=fault,
        freeze=await state.freezes.get(environment.name),
        abandoned=lock is not None and not state.instance.is_alive(lock.instance_id),
    )


async def _health(environment: Environment, collector: Collector) -> tuple[StackHealth | None, str]:
    """Return how a stack is, or why nothing is known of it."""
    try:
        async with asyncio.timeout(HEALTH_WITHIN_SECONDS):
            found = await collector.collect_all_metrics(environment)
    except RoasError as error:
        return None, error.whole
    except TimeoutError:
        return None, said(
            "The engine did not answer within {seconds} s.",
            seconds=f"{HEALTH_WITHIN_SECONDS:g}",
        )
    return (found if found.remembered else None, found.fault) if found.fault else (found, "")
