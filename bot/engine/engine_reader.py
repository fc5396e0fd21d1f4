"""Define what can be seen of an engine: containers, their events and logs, and how they differ from a model."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from roas.engine.comparison import ContainerDifference, WantedService
from roas.models.environment import Environment
from roas.models.facts import BotPlace, FoundProject
from roas.models.health import ContainerSnapshot
from roas.models.swarm import QuorumLosses, SwarmFacts


@dataclass(frozen=True, slots=True)
class SweptContainers:
    """Hold the containers as they would be after a sweep, and those that it would remove."""

    left: tuple[ContainerSnapshot, ...]
    removed: tuple[ContainerSnapshot, ...] = ()


@dataclass(frozen=True, slots=True)
class ContainerEvent:
    """Describe an engine event of a container: `start`, `die`, `oom`, `health_status`, `destroy`, …"""

    action: str
    container_id: str
    service: str
    project: str
    attributes: Mapping[str, str]
    time_ns: int = 0  # by the engine's clock


class EngineReader(Protocol):
    """Look at what an engine has. Every method raises EngineUnavailableError where it cannot be reached."""

    async def containers(self, environment: Environment) -> tuple[ContainerSnapshot, ...]:
        """Return every container of the environment's project, running or not."""
        ...

    async def outline(self, environment: Environment) -> tuple[ContainerSnapshot, ...]:
        """Return every container of the environment's project as the engine lists it: one question, however many.

        Restarts, the time of the start, the restart policy and the stop signal are not told.
        """
        ...

    async def containers_by_id(
        self, environment: Environment, container_ids: frozenset[str]
    ) -> tuple[ContainerSnapshot, ...]:
        """Return those of some containers of the environment's project that are there, running or not."""
        ...

    def events(
        self, environment: Environment, *, since_ns: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[ContainerEvent]]:
        """Subscribe to the project's container events; the subscription is active once the context is entered.

        What the engine still remembers `since_ns` (by its own clock, that time included) comes first.
        """
        ...

    async def written_services(self, environment: Environment) -> frozenset[str]:
        """Return the services that are there as such, whatever containers they have: those of a Swarm, else none."""
        ...

    async def last_writer(self, environment: Environment) -> str:
        """Return the newest deployment that wrote a service that a Swarm has; empty where none did."""
        ...

    async def projects(self, environment: Environment) -> tuple[FoundProject, ...]:
        """Return the Compose projects of the environment's engine."""
        ...

    async def failure_output(self, environment: Environment, container_id: str, *, lines: int = 30) -> str:
        """Return a container's last log lines and its last health-check output, redacted."""
        ...

    async def read_log(
        self, environment: Environment, container_id: str, *, lines: int, since: datetime | None = None
    ) -> str:
        """Return the last lines of a container's log with their times, redacted; `since` leaves out older ones."""
        ...

    async def replacements(self, environment: Environment, service: str, since: datetime) -> tuple[str, ...]:
        """Say what the engine itself did about a service since then: a Swarm starts other tasks for those that end."""
        ...

    async def swarm(self, environment: Environment, *, with_traces: bool = False) -> SwarmFacts | None:
        """Return what a manager says of its Swarm; None where the environment's stack runs on one machine."""
        ...

    def quorum_losses(self, environment: Environment) -> QuorumLosses:
        """Return how often, and for how long, a Swarm was seen without a quorum since this process began."""
        ...

    async def wanted_services(
        self,
        environment: Environment,
        model: Mapping[str, Any],
        containers: tuple[ContainerSnapshot, ...] | None = None,
        *,
        as_it_is: bool = False,
    ) -> Mapping[str, WantedService]:
        """Return what a pinned model wants of each service, where these containers (by default, what there is) are.

        What shares a namespace is wanted as the container that it shares with makes it: none fits before that one is
        as the model says, but for who takes it `as_it_is`.
        """
        ...

    async def container_differences(
        self, environment: Environment, model: Mapping[str, Any]
    ) -> Mapping[str, ContainerDifference]:
        """Return, by id, the containers that run, or ran, of which a key differs from a pinned model."""
        ...

    async def now(self, environment: Environment) -> datetime:
        """Return what the engine's clock says."""
        ...

    async def expected_repairs(
        self, environment: Environment, *, spared: frozenset[str] = frozenset()
    ) -> SweptContainers:
        """Return every container as `sweep` would leave it, and those that it would remove."""
        ...

    async def misled_binds(self, environment: Environment, model_hash: str) -> Mapping[str, str]:
        """Return the services of a model of which a bind leads, by now, where it may not, and why."""
        ...

    async def bot_places(self, environment: Environment, container_ids: Iterable[str]) -> Mapping[str, BotPlace]:
        """Return where a bot in each container keeps its state and answers; missing containers are skipped."""
        ...

    async def local_versions(self, environment: Environment) -> tuple[str, ...]:
        """Return the versions that need no pull: those of which an image is here, the newest first.

        Raises ComposeFileError, ComposePolicyError.
        """
        ...
