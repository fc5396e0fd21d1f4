"""Gather what is known of an environment for `status`."""

import asyncio
from typing import Protocol

from bot.control.documents import EnvironmentStatus
from bot.errors import RoasError
from bot.models.environment import Environment
from bot.models.health import ContainerSnapshot, StackHealth, Verdict
from bot.state.manager import StateManager

HEALTH_WITHIN_SECONDS = 20.0


class Collector(Protocol):
    """Know how a stack is."""

    async def collect_all_metrics(self, environment: Environment) -> StackHealth:
        """Look at an environment now. Raises EngineUnavailableError."""
        ...


class ContainerSource(Protocol):
    """Know the containers of a stack."""

    async def containers(self, environment: Environment) -> tuple[ContainerSnapshot, ...]:
        """Return them. Raises EngineUnavailableError."""
        ...


async def look_at(
    environment: Environment, state: StateManager, collector: Collector, engine: ContainerSource | None = None
) -> EnvironmentStatus:
    """Tell how an environment is; an engine that does not answer hides its health only.

    Without `engine`, one that is away looks like one on which nothing runs.
    """
    found, fault = await _health(environment, collector, engine)
    return EnvironmentStatus(
        environment=environment.name,
        project=environment.project,
        release=await state.releases.current(environment.name),
        active=await state.deployments.active(environment.name),
        lock=await state.locks.get(environment.name),
        health=found,
        fault=fault,
        freeze=await state.freezes.get(environment.name),
    )


async def _health(
    environment: Environment, collector: Collector, engine: ContainerSource | None
) -> tuple[StackHealth | None, str]:
    try:
        async with asyncio.timeout(HEALTH_WITHIN_SECONDS):
            found = await collector.collect_all_metrics(environment)
            if found.verdict is Verdict.UNKNOWN and engine is not None:
                await engine.containers(environment)  # says why
            return found, ""
    except RoasError as error:
        return None, f"{error.message} {error.hint}".strip()
    except TimeoutError:
        return None, f"The engine did not answer within {HEALTH_WITHIN_SECONDS:g} s."
