"""Define a stack: one environment's services, what is wanted of them, what is there, and how it is brought about."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime
from typing import Any, Unpack

from roas.errors import InvalidRequestError
from roas.messages.message import said
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot
from roas.models.stack import ServiceDefinition
from roas.models.swarm import QuorumLosses, SwarmFacts
from roas.stack.backups.service_data import ServiceData
from roas.stack.docker.engine import Engine
from roas.stack.image_supply import StackImages
from roas.stack.interface import NO_FILES, ContainerEvent, Creation, ResolvedStack, SharedFiles, SweptContainers
from roas.stack.machine.probe import DockerProbe
from roas.stack.model.services import replicas_of, services_of
from roas.stack.proxy.live_configuration import LiveConfiguration
from roas.stack.releases.differences import describe_changes
from roas.stack.releases.parts import StackParts
from roas.stack.releases.stack_releases import StackReleases
from roas.stack.service_comparison import ContainerDifference, WantedService


class Stack(ABC):
    """Be the stack of one environment. What is here is the same on one machine and on a Swarm.

    `releases` makes and keeps its releases, `images` looks up, pulls and builds their images, `proxies` tells proxies
    in front of its services, `data` backs up and restores what services hold, `probe` answers what else there is on its
    engine and machine. Every method that asks the engine raises EngineUnavailableError where it cannot be reached.
    """

    replaces_by_itself = False  # whether the engine starts others for containers that end, and takes back what fails
    shares_with_compose = True  # whether somebody's `docker compose` finds its containers, and changes them
    needs_quorum = False  # whether managers have to agree before anything is written

    def __init__(self, engine: Engine, parts: StackParts, releases: StackReleases, images: StackImages) -> None:
        self.engine = engine
        self.environment: Environment = engine.environment
        self.releases = releases
        self.images = images
        self.proxies = LiveConfiguration(engine, parts.live_files)
        self.data: ServiceData = ServiceData(engine, parts.backups)
        self._parts = parts

    @property
    def answering(self) -> str:
        """Return which of several managers answers; empty where there is one engine."""
        return self.engine.address if len(self.engine.addresses) > 1 else ""

    def probe(self) -> DockerProbe:
        """Return what answers questions about the engine and its machine; what it has learned it keeps."""
        return DockerProbe(self.engine, self._parts.runner)

    async def close(self) -> None:  # noqa: B027
        """End what is under way."""

    # From files to a model.

    async def resolve(
        self, version: str | None, *, write_contents: bool = True, instead: SharedFiles = NO_FILES
    ) -> ResolvedStack:
        """Merge, interpolate and check the environment's compose files; `instead` has those that are promoted.

        `write_contents=False` computes every hash but writes nothing (for a plan). Raises ComposeFileError and
        ComposePolicyError.
        """
        resolved = await self._parts.resolver.resolve(
            self.environment, version, write_contents=write_contents, instead=instead
        )
        model = await self._parts.scaled(self.environment, resolved.model, of_files=True)
        services = services_of(model)
        definitions = {
            name: replace(definition, replicas=replicas_of(services[name]))
            for name, definition in resolved.definitions.items()
        }
        return replace(resolved, model=model, definitions=definitions, is_kept=write_contents)

    async def load_model(self, model_hash: str) -> Mapping[str, Any]:
        """Return the stored, pinned model of a release. Raises ReleaseNotRestorableError where it is gone."""
        return await self._parts.load_model(model_hash)

    def definitions(self, model: Mapping[str, Any]) -> Mapping[str, ServiceDefinition]:
        """Read from a model how each service is to be updated and judged."""
        return self._parts.definitions(model)

    async def describe_changes(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
        """Say how two pinned models, the old one respelled, differ by key and by file, without secrets."""
        contents, redact = self._parts.contents.folder, self._parts.redactor.redact
        return await self.engine.local(lambda: describe_changes(old, new, contents, redact))

    # What is there, and what is wanted.

    @abstractmethod
    async def containers(self) -> tuple[ContainerSnapshot, ...]:
        """Return every container of the environment's project, running or not; of a Swarm's stack, every task."""

    async def listed(self) -> tuple[ContainerSnapshot, ...]:
        """Return every container as the engine lists it, by one question where it can: without restarts and starts."""
        return await self.containers()

    async def containers_by_id(self, container_ids: frozenset[str]) -> tuple[ContainerSnapshot, ...]:
        """Return those of some containers of the environment's project that are there, running or not."""
        return tuple(container for container in await self.containers() if container.id in container_ids)

    @abstractmethod
    def events(self, *, since_ns: int | None = None) -> AbstractAsyncContextManager[AsyncIterator[ContainerEvent]]:
        """Subscribe to the project's container events; the subscription is active once the context is entered.

        What the engine still remembers `since_ns` (by its own clock, that time included) comes first.
        """

    async def written_services(self) -> frozenset[str]:
        """Return the services that are there as such, whatever containers they have: those of a Swarm, else none."""
        return frozenset()

    @abstractmethod
    async def wanted_services(
        self,
        model: Mapping[str, Any],
        containers: tuple[ContainerSnapshot, ...] | None = None,
        *,
        as_it_is: bool = False,
    ) -> Mapping[str, WantedService]:
        """Return what a pinned model wants of each service, where these containers (by default, what there is) are.

        What shares a namespace is wanted as the container that it shares with makes it: none fits before that one is
        as the model says, but for who takes it `as_it_is`.
        """

    @abstractmethod
    async def differences(self, model: Mapping[str, Any]) -> Mapping[str, ContainerDifference]:
        """Return, by id, the containers that run, or ran, of which a key differs from a pinned model."""

    async def superseded(self, model: Mapping[str, Any]) -> Mapping[str, tuple[tuple[str, str], ...]]:
        """Return what services of a model have of which the engine has a newer version, each with that: on a Swarm."""
        return {}

    async def own_services(self) -> frozenset[str]:
        """Return the services that this bot is of, where the engine replaces them by itself: on a Swarm."""
        return frozenset()

    async def fence_off(self, deployment: str) -> None:  # noqa: B027 - there is nothing to do on one machine
        """Have what a bot on another machine still means to write for a deployment be refused: on a Swarm."""

    async def set_secret(self, name: str, value: bytes) -> str:
        """Give the engine a secret that files call external; returns what it is called. Raises InvalidRequestError."""
        raise InvalidRequestError(
            said("{environment} runs on one machine, where secrets are files.", environment=self.environment.name),
            hint=said("Write the file that the compose file names, then deploy."),
        )

    @abstractmethod
    async def failure_output(self, container_id: str, *, lines: int = 30) -> str:
        """Return a container's last log lines and its last health-check output, redacted."""

    @abstractmethod
    async def read_log(self, container_id: str, *, lines: int, since: datetime | None = None) -> str:
        """Return the last lines of a container's log with their times, redacted; `since` leaves out older ones."""

    async def replacements(self, service: str, since: datetime) -> tuple[str, ...]:
        """Say what the engine itself did about a service since then: a Swarm starts other tasks for those that end.

        On one machine, that is in the container's restart count.
        """
        return ()

    async def swarm(self) -> SwarmFacts | None:
        """Return what a manager says of its Swarm; None where the stack runs on one machine."""
        return None

    async def given_up_tasks(self) -> Mapping[str, frozenset[str]]:
        """Return of each service the nodes on which an earlier task may still run: of a Swarm."""
        return {}

    def quorum_losses(self) -> QuorumLosses:
        """Return how often, and for how long, a Swarm was seen without a quorum since this process began."""
        return QuorumLosses()

    async def expected_repairs(self, *, spared: frozenset[str] = frozenset()) -> SweptContainers:
        """Return every container as `sweep` would leave it, and those that it would remove."""
        return SweptContainers(await self.containers())

    # What is done.

    @abstractmethod
    async def create_service(self, model_hash: str, service: str, **how: Unpack[Creation]) -> tuple[str, ...]:
        """Create a service's containers as the model says, not yet started, and return the ids that are to be started.

        What runs already as the model says is left alone (its id is not returned). A container that differs is
        stopped and replaced, and passes its anonymous volumes on.
        """

    @abstractmethod
    async def create_missing(
        self, model_hash: str, chosen: frozenset[str] | None = None
    ) -> tuple[ContainerSnapshot, ...]:
        """Create, in one go and not started, the containers of services that have none yet, and what is shared.

        Only of those that are `chosen`, where some are. Returns what was created. Where the engine refuses one of many,
        others may lack, too, and each is left to `create_service`, whose fault names it.
        """

    async def start(self, container_id: str) -> None:  # noqa: B027
        """Start a created or stopped container; a Swarm starts tasks by itself."""

    async def stop(self, container_id: str) -> None:  # noqa: B027
        """Stop a container within its grace period; a stopped or missing one is no error.

        Raises OwnContainerError, with nothing done, for the container that this process runs in; so does `remove`, and
        `create_service` where Compose would replace that container. A Swarm stops tasks in the order of the update.
        """

    async def pause(self, container_id: str) -> None:  # noqa: B027
        """Let the processes of a container stand still; `start` lets them go on. One that does not run is no error."""

    async def keep_stopped(self, container_id: str) -> None:  # noqa: B027
        """Let no start of the engine start a container that is about to be stopped, whatever its restart policy."""

    async def restart_always(self, container_id: str) -> None:  # noqa: B027
        """Give the restart policy `always` back to a container that `keep_stopped` took it from."""

    async def remove(self, container_id: str, *, grace_seconds: float | None = None) -> None:  # noqa: B027
        """Stop and remove a container by id; a missing one is no error. A Swarm removes replaced tasks by itself."""

    @abstractmethod
    async def remove_service(self, service: str, container_ids: Iterable[str]) -> None:
        """Stop and remove these containers, which are all of a service; where it is one of a Swarm, the service."""

    async def sweep(self, service: str | None = None, *, spared: frozenset[str] = frozenset()) -> tuple[str, ...]:
        """Fix what a killed Compose left behind (`<id>_<name>`, `created`), of one service or all of them.

        Containers that are `spared`, by id, are left as they are. Returns a description of each repair.
        """
        return ()
