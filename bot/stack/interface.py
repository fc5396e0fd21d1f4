"""Hold what a stack tells and takes: what its files resolve to, what is pinned of that, and events of containers."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypedDict

from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot
from roas.models.release import ReleaseService
from roas.models.stack import Obstacle, ServiceDefinition, WantedImage
from roas.models.swarm import KnownSwarm

# Called with a step's progress: service, text, fraction of the step (0 to 1) or None where it is not known.
ProgressReport = Callable[[str, str, float | None], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class SharedFiles:
    """Name the content of files that another environment may have, too, each by its path in the stack's folder.

    These are `compose` files and what they include, and files and folders that are `bound` by content. Those that
    `overrides` name stand after the first compose file: in another `folder`, the same name means another file.
    """

    compose: Mapping[str, str] = field(default_factory=dict)
    bound: Mapping[str, str] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    folder: str = ""

    def shared_with(self, folder: str, overrides: Collection[str]) -> "SharedFiles":
        """Return those that mean the same to the stack of a folder, with its own overrides."""
        own = {*self.overrides, *overrides} if self.folder != folder else set()
        return replace(self, compose={name: kept for name, kept in self.compose.items() if name not in own})


NO_FILES = SharedFiles()


@dataclass(frozen=True, slots=True)
class ResolvedStack:
    """Hold a compose model after merge, interpolation and policy, as it would be deployed; it holds every secret.

    `model` has its configuration files bound from the content store already, images as written. `follows_version` is
    whether the version that is asked for makes any difference, `beside_files` whether the files themselves name
    another. `obstacles` are what its execution would come upon on the engine, `powers` what somebody has to give it and
    how that reads, by the entries that were `asked` for. `files` are those that it is made of and may share. Of one
    that `is_kept` the content of all files is kept, so that it can be deployed; of one that is only shown it is not.
    `new_volumes` are those that the engine does not have yet; of a Swarm all of them, since each node has its own.
    `wanted` is what images of services mean by content, as far as that was looked up.
    """

    environment: Environment
    version: str
    model: Mapping[str, Any] = field(repr=False)
    definitions: Mapping[str, ServiceDefinition]
    warnings: tuple[str, ...] = ()
    follows_version: bool = True
    obstacles: tuple[Obstacle, ...] = ()
    beside_files: bool = False
    is_kept: bool = False
    powers: Mapping[str, str] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()
    files: SharedFiles = field(default_factory=SharedFiles)
    new_volumes: frozenset[str] = frozenset()
    wanted: Mapping[str, WantedImage] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PinnedStack:
    """Hold what a release is made of, with every image by ID: its model is stored under `model_hash` already.

    So are the names of its files under `files_hash`, where all of it is made of these. A release is that with a number.
    """

    version: str
    services: tuple[ReleaseService, ...]
    model_hash: str
    files_hash: str = ""


class Creation(TypedDict, total=False):
    """Say how a service's containers are created; all of it may be left out.

    With `beside` a container that differs stays until it is removed by id (start-first), and no more than `at_most` new
    ones are created. With `recreate`, every container is replaced. Those that are `spared`, by id, are neither removed
    nor renamed, nor returned. `seen` are the service's containers as a watch has them at this moment: where all of them
    are as they should be, the engine is not asked again. A Swarm notes the id of the `deployment` with what is written.
    """

    beside: bool
    at_most: int | None
    recreate: bool
    spared: frozenset[str]
    seen: tuple[ContainerSnapshot, ...] | None
    deployment: str


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


class ContainerSource(Protocol):
    """Show the containers of a stack, for who watches them."""

    @property
    def replaces_by_itself(self) -> bool:
        """Return whether the engine starts other containers for those that end."""
        ...

    async def containers(self) -> tuple[ContainerSnapshot, ...]:
        """Return every container, running or not."""
        ...

    async def containers_by_id(self, container_ids: frozenset[str]) -> tuple[ContainerSnapshot, ...]:
        """Return those of some containers that are there."""
        ...

    def events(self, *, since_ns: int | None = None) -> AbstractAsyncContextManager[AsyncIterator[ContainerEvent]]:
        """Subscribe to the events of the containers."""
        ...

    async def failure_output(self, container_id: str, *, lines: int = 30) -> str:
        """Return a container's last log lines and its last health-check output."""
        ...


def write_freely() -> None:
    """Let everything be written: this bot shares its journal with none on another machine."""


class KnownSwarms(Protocol):
    """Keep which Swarm each environment was deployed to."""

    async def id_of(self, environment: str) -> str:
        """Return the id of the Swarm; empty where none is known."""
        ...

    async def note(self, known: KnownSwarm) -> None:
        """Write which Swarm it is."""
        ...
