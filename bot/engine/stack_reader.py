"""Tell what is seen of each environment's stack, by the engine that it names: Compose on one machine, or a Swarm."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from functools import cached_property
from typing import Any

from roas.engine.comparison import ContainerDifference, WantedService
from roas.engine.compose_engine import ComposeEngine
from roas.engine.interface import ContainerEvent, SweptContainers
from roas.engine.swarm_engine import SwarmEngine
from roas.models.environment import Environment
from roas.models.facts import BotPlace
from roas.models.health import ContainerSnapshot
from roas.models.swarm import QuorumLosses, SwarmFacts


class StackReader(ComposeEngine):
    """Read as `ComposeEngine` does, and for environments with `engine: swarm` what its managers say."""

    @cached_property
    def _swarm(self) -> SwarmEngine:
        """Load what is done with a Swarm only where an environment is on one."""
        return SwarmEngine(self._clients, self._models, self._redactor, self._key.read)

    async def current_hashes(self, model_hash: str, environment: Environment) -> Mapping[str, str]:
        """Return the configuration hash that each service's container should have under a model."""
        if not on_swarm(environment):
            return await super().current_hashes(model_hash, environment)
        wanted = await self._swarm.wanted_services(environment, await self.load_model(model_hash))
        return {name: one.config_hash for name, one in wanted.items()}

    async def misled_binds(self, environment: Environment, model_hash: str) -> Mapping[str, str]:
        """Return the services of a model of which a bind leads where it may not; a Swarm's bind nothing."""
        return {} if on_swarm(environment) else await super().misled_binds(environment, model_hash)

    async def expected_repairs(
        self, environment: Environment, *, spared: frozenset[str] = frozenset()
    ) -> SweptContainers:
        """Return every container as `sweep` would leave it, and those that it would remove."""
        if on_swarm(environment):
            return SweptContainers(await self._swarm.containers(environment))
        return await super().expected_repairs(environment, spared=spared)

    async def containers(self, environment: Environment) -> tuple[ContainerSnapshot, ...]:
        """Return every container of the environment's project, or every task of its stack."""
        if on_swarm(environment):
            return await self._swarm.containers(environment)
        return await super().containers(environment)

    async def outline(self, environment: Environment) -> tuple[ContainerSnapshot, ...]:
        """Return every container as the engine lists it."""
        if on_swarm(environment):
            return await self._swarm.containers(environment)
        return await super().outline(environment)

    async def containers_by_id(
        self, environment: Environment, container_ids: frozenset[str]
    ) -> tuple[ContainerSnapshot, ...]:
        """Return those of some containers that are there, running or not."""
        if on_swarm(environment):
            return tuple(one for one in await self._swarm.containers(environment) if one.id in container_ids)
        return await super().containers_by_id(environment, container_ids)

    def events(
        self, environment: Environment, *, since_ns: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[ContainerEvent]]:
        """Subscribe to the events of containers, or follow the tasks of a stack."""
        if on_swarm(environment):
            return self._swarm.events(environment)
        return super().events(environment, since_ns=since_ns)

    async def written_services(self, environment: Environment) -> frozenset[str]:
        """Return the services that a Swarm has of the stack."""
        return await self._swarm.services(environment) if on_swarm(environment) else frozenset()

    async def wanted_services(
        self,
        environment: Environment,
        model: Mapping[str, Any],
        containers: tuple[ContainerSnapshot, ...] | None = None,
        *,
        as_it_is: bool = False,
    ) -> Mapping[str, WantedService]:
        """Return what a pinned model wants of each service."""
        if on_swarm(environment):
            return await self._swarm.wanted_services(environment, model, containers)
        return await super().wanted_services(environment, model, containers, as_it_is=as_it_is)

    async def container_differences(
        self, environment: Environment, model: Mapping[str, Any]
    ) -> Mapping[str, ContainerDifference]:
        """Return, by id, the containers of which a key differs from a pinned model."""
        if on_swarm(environment):
            return await self._swarm.differences(environment, model)
        return await super().container_differences(environment, model)

    async def failure_output(self, environment: Environment, container_id: str, *, lines: int = 30) -> str:
        """Return a container's last log lines and its last health-check output, redacted."""
        if on_swarm(environment):
            return await self._swarm.failure_output(environment, container_id, lines=lines)
        return await super().failure_output(environment, container_id, lines=lines)

    async def read_log(
        self, environment: Environment, container_id: str, *, lines: int, since: datetime | None = None
    ) -> str:
        """Return the last lines of a container's log with their times, redacted."""
        if on_swarm(environment):
            return await self._swarm.read_log(environment, container_id, lines=lines, since=since)
        return await super().read_log(environment, container_id, lines=lines, since=since)

    async def replacements(self, environment: Environment, service: str, since: datetime) -> tuple[str, ...]:
        """Say what a Swarm itself did about a service since then."""
        if on_swarm(environment):
            return await self._swarm.replacements(environment, service, since)
        return await super().replacements(environment, service, since)

    async def swarm(self, environment: Environment, *, with_traces: bool = False) -> SwarmFacts | None:
        """Return what a manager says of its Swarm; None where there is none."""
        if on_swarm(environment):
            return await self._swarm.facts(environment, with_traces=with_traces)
        return await super().swarm(environment, with_traces=with_traces)

    def quorum_losses(self, environment: Environment) -> QuorumLosses:
        """Return how often, and for how long, a Swarm was seen without a quorum."""
        return self._swarm.quorum_losses(environment) if on_swarm(environment) else QuorumLosses()

    async def bot_places(self, environment: Environment, container_ids: Iterable[str]) -> Mapping[str, BotPlace]:
        """Return where a bot in each container keeps its state; no bot runs as a task yet."""
        return {} if on_swarm(environment) else await super().bot_places(environment, container_ids)


def on_swarm(environment: Environment) -> bool:
    """Return whether an environment's stack runs on a Swarm."""
    return environment.on_swarm
