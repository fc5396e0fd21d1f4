"""Define what a deployment needs of an engine; the phases know no more than this."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from roas.engine.comparison import ContainerDifference, WantedService
from roas.models.environment import Environment
from roas.models.facts import BotPlace, FoundProject
from roas.models.health import ContainerSnapshot
from roas.models.obstacle import Obstacle
from roas.models.ownership import ProcessMark
from roas.models.release import Release, ReleaseService
from roas.models.stack import ServiceDefinition, WantedImage

# Called with a step's progress: service, text, fraction of the step (0 to 1) or None where it is not known.
ProgressReport = Callable[[str, str, float | None], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ResolvedStack:
    """Hold a compose model after merge, interpolation and policy, as it would be deployed; it holds every secret.

    `model` has its configuration files bound from the content store already, images as written. `follows_version` is
    whether the version that is asked for makes any difference. `obstacles` are what its execution would come upon on
    the engine. `inputs` is a hash of what a plan depends on besides: secrets, settings and policy.
    """

    environment: Environment
    version: str
    model: Mapping[str, Any] = field(repr=False)
    definitions: Mapping[str, ServiceDefinition]
    warnings: tuple[str, ...] = ()
    follows_version: bool = True
    obstacles: tuple[Obstacle, ...] = ()
    inputs: str = ""


@dataclass(frozen=True, slots=True)
class ReleaseDraft:
    """Hold a release before it has a number: its pinned model is stored under `model_hash` already."""

    version: str
    services: tuple[ReleaseService, ...]
    model_hash: str


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


class Engine(Protocol):
    """Run stacks. Every method raises EngineUnavailableError where the engine cannot be reached."""

    async def resolve(
        self, environment: Environment, version: str | None, *, write_contents: bool = True
    ) -> ResolvedStack:
        """Merge, interpolate and check an environment's compose files.

        `write_contents=False` computes every hash but writes nothing (for a plan). Raises ComposeFileError and
        ComposePolicyError.
        """
        ...

    async def load_model(self, model_hash: str) -> Mapping[str, Any]:
        """Return the stored, pinned model of a release. Raises ReleaseNotRestorableError where it is gone."""
        ...

    def definitions(self, model: Mapping[str, Any]) -> Mapping[str, ServiceDefinition]:
        """Read from a model how each service is to be updated and judged."""
        ...

    async def look_up_images(self, stack: ResolvedStack, services: frozenset[str]) -> Mapping[str, WantedImage]:
        """Return the content that each service's image means now, by pull policy, asking registries where needed.

        Raises ImageNotFoundError, RegistryUnavailableError.
        """
        ...

    async def pull(
        self, environment: Environment, image: WantedImage, services: tuple[str, ...], report: ProgressReport
    ) -> str:
        """Pull an image; returns its image ID.

        Raises ImageNotFoundError, ImageChangedError, RegistryUnavailableError.
        """
        ...

    async def build(
        self, stack: ResolvedStack, service: str, report: ProgressReport, *, expected: str | None = None
    ) -> str:
        """Build a service's image from a copy of its files and return its image ID.

        Raises ImageChangedError where what is built has not the `expected` hash, BuildFailedError with the log's end
        as report.
        """
        ...

    async def draft_release(
        self,
        stack: ResolvedStack,
        image_ids: Mapping[str, str],
        *,
        kept_from: Release | None = None,
        kept_services: frozenset[str] = frozenset(),
    ) -> ReleaseDraft:
        """Pin every image by image ID and store the model; `kept_services` keep their definition from `kept_from`."""
        ...

    async def preview_release(
        self,
        stack: ResolvedStack,
        image_ids: Mapping[str, str],
        *,
        kept_from: Release | None = None,
        kept_services: frozenset[str] = frozenset(),
    ) -> Mapping[str, Any]:
        """Return the model that `draft_release` would store for the same; nothing is written."""
        ...

    async def adopt(self, environment: Environment) -> ReleaseDraft | None:
        """Draft a release of what runs now, from the engine alone; None where nothing runs."""
        ...

    async def check_release(self, environment: Environment, model_hash: str) -> None:
        """Ask today's policy about the model of a release. Raises ComposePolicyError, with the way out."""
        ...

    async def refresh_credentials(self, environment: Environment, release: Release) -> tuple[str, tuple[str, ...]]:
        """Store the release's model with today's credentials and return its hash, and warnings."""
        ...

    async def preview_refreshed(
        self, environment: Environment, release: Release
    ) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """Return the model that `refresh_credentials` would store, and warnings; nothing is written."""
        ...

    async def hash_release(self, environment: Environment, model: Mapping[str, Any]) -> str:
        """Return a hash of what a stored model would run as: with its secrets, today's settings and policy."""
        ...

    async def protect(self, release: Release, environment: Environment) -> None:
        """Tag the release's images so that pruning leaves them alone."""
        ...

    async def held_releases(self, environment: Environment) -> frozenset[int]:
        """Return the numbers of releases of which tags or a model may be held; another project's may be among them."""
        ...

    async def unprotect(
        self, release: Release, environment: Environment, *, needed: frozenset[str] = frozenset()
    ) -> None:
        """Remove the tags of a release that is no longer kept, and its model where no other release has it.

        A tag that points to another image is not this release's, and stays; so does a model that is `needed`.
        """
        ...

    async def clear_unused(self, needed: frozenset[str]) -> None:
        """Remove old models that no release holds and that are not `needed`, then old contents in no model."""
        ...

    async def missing_images(self, release: Release, environment: Environment) -> tuple[str, ...]:
        """Return the services of a release whose images are gone; empty where it can be restored."""
        ...

    async def create_service(
        self,
        environment: Environment,
        model_hash: str,
        service: str,
        *,
        beside: bool = False,
        anew: bool = False,
        spared: frozenset[str] = frozenset(),
        seen: tuple[ContainerSnapshot, ...] | None = None,
    ) -> tuple[str, ...]:
        """Create a service's containers as the model says, not yet started, and return the ids that are to be started.

        What runs already as the model says is left alone (its id is not returned). A container that differs is
        stopped and replaced; with `beside` it stays until it is removed by id (start-first). With `anew`, every
        container is replaced. A replaced container passes its anonymous volumes on. Those that are `spared`, by id, are
        neither removed nor renamed, nor returned. `seen` are the service's containers as a watch has them at this
        moment: where all of them are as they should be, the engine is not asked again.
        """
        ...

    async def create_missing(
        self, environment: Environment, model_hash: str, chosen: frozenset[str] | None = None
    ) -> None:
        """Create, in one go and not started, the containers of services that have none yet, and the networks.

        Only of those that are `chosen`, where some are.
        """
        ...

    async def current_hashes(self, model_hash: str, environment: Environment) -> Mapping[str, str]:
        """Return the configuration hash that each service's container should have under a model."""
        ...

    async def wanted_services(
        self,
        environment: Environment,
        model: Mapping[str, Any],
        containers: tuple[ContainerSnapshot, ...] | None = None,
    ) -> Mapping[str, WantedService]:
        """Return what a pinned model wants of each service, where these containers (by default, what there is) are.

        What shares a namespace is wanted as the container that it shares with makes it.
        """
        ...

    async def container_differences(
        self, environment: Environment, model: Mapping[str, Any]
    ) -> Mapping[str, ContainerDifference]:
        """Return, by id, the running containers of which a key differs from a pinned model."""
        ...

    async def expected_repairs(
        self, environment: Environment, *, spared: frozenset[str] = frozenset()
    ) -> SweptContainers:
        """Return every container as `sweep` would leave it, and those that it would remove."""
        ...

    async def start(self, environment: Environment, container_id: str) -> None:
        """Start a created or stopped container."""
        ...

    async def stop(self, environment: Environment, container_id: str) -> None:
        """Stop a container within its grace period; a stopped or missing one is no error.

        Raises OwnContainerError, with nothing done, for the container that this process runs in; so does `remove`, and
        `create_service` where Compose would replace that container.
        """
        ...

    async def remove(self, environment: Environment, container_id: str, *, grace_seconds: float | None = None) -> None:
        """Stop and remove a container by id; a missing one is no error."""
        ...

    async def misled_binds(self, environment: Environment, model_hash: str) -> Mapping[str, str]:
        """Return the services of a model of which a bind leads, by now, where it may not, and why."""
        ...

    async def hold_restarts(self, environment: Environment, services: Iterable[str]) -> None:
        """Let no container of these services be started again by the engine itself."""
        ...

    async def release_restarts(self, environment: Environment, model_hash: str, services: Iterable[str]) -> None:
        """Give the containers of these services the restart policy of a model again."""
        ...

    async def projects(self, environment: Environment) -> tuple[FoundProject, ...]:
        """Return the Compose projects of the environment's engine."""
        ...

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

    async def failure_output(self, environment: Environment, container_id: str, *, lines: int = 30) -> str:
        """Return a container's last log lines and its last health-check output, redacted."""
        ...

    async def read_log(
        self, environment: Environment, container_id: str, *, lines: int, since: datetime | None = None
    ) -> str:
        """Return the last lines of a container's log with their times, redacted; `since` leaves out older ones."""
        ...

    async def local_versions(self, environment: Environment) -> tuple[str, ...]:
        """Return the versions that need no pull: those of which an image is here, the newest first.

        Raises ComposeFileError, ComposePolicyError.
        """
        ...

    async def sweep(
        self, environment: Environment, service: str | None = None, *, spared: frozenset[str] = frozenset()
    ) -> tuple[str, ...]:
        """Fix what a killed Compose left behind (`<id>_<name>`, `created`), of one service or all of them.

        Containers that are `spared`, by id, are left as they are. Returns a description of each repair.
        """
        ...

    async def bot_places(self, environment: Environment, container_ids: Iterable[str]) -> Mapping[str, BotPlace]:
        """Return where a bot in each container keeps its state and answers; missing containers are skipped."""
        ...

    async def kill_orphans(self, instance_id: str) -> int:
        """Terminate Compose children that a dead process of ours left running; returns how many."""
        ...

    async def end_process(self, mark: ProcessMark) -> bool:
        """Terminate a hung process of ours; returns whether it is certainly gone."""
        ...
