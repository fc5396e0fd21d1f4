"""Define what can be done with an engine: images are had, containers are made, started, stopped and removed."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

from roas.engine.proxied_service import ProxiedService
from roas.engine.release_store import ResolvedStack
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot
from roas.models.ownership import ProcessMark
from roas.models.proxy import ServiceProxy
from roas.models.stack import WantedImage

# Called with a step's progress: service, text, fraction of the step (0 to 1) or None where it is not known.
ProgressReport = Callable[[str, str, float | None], Awaitable[None]]


class EngineActor(Protocol):
    """Change what an engine has. Every method raises EngineUnavailableError where it cannot be reached."""

    async def pull(
        self, environment: Environment, image: WantedImage, services: tuple[str, ...], report: ProgressReport
    ) -> str:
        """Pull an image; returns its image ID.

        Raises ImageNotFoundError, RegistryUnavailableError.
        """
        ...

    async def build(
        self, stack: ResolvedStack, service: str, report: ProgressReport, *, expected: str | None = None
    ) -> str:
        """Build a service's image from the copy of its files that a plan kept as `expected`, and return its image ID.

        Without one, a copy is made now. Raises ImageChangedError where the copy is not kept any more,
        BuildFailedError with the log's end as report.
        """
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
        at_most: int | None = None,
        deployment: str = "",
    ) -> tuple[str, ...]:
        """Create a service's containers as the model says, not yet started, and return the ids that are to be started.

        What runs already as the model says is left alone (its id is not returned). A container that differs is
        stopped and replaced; with `beside` it stays until it is removed by id (start-first). With `anew`, every
        container is replaced. A replaced container passes its anonymous volumes on. Those that are `spared`, by id, are
        neither removed nor renamed, nor returned. `seen` are the service's containers as a watch has them at this
        moment: where all of them are as they should be, the engine is not asked again. With `beside`, no more than
        `at_most` new ones are created. In a Swarm, what is written has the id of the `deployment` with it.
        """
        ...

    async def create_missing(
        self,
        environment: Environment,
        model_hash: str,
        chosen: frozenset[str] | None = None,
        *,
        created: Callable[[tuple[ContainerSnapshot, ...]], None] = lambda _made: None,
    ) -> tuple[ContainerSnapshot, ...]:
        """Create, in one go and not started, the containers of services that have none yet, and the networks.

        Only of those that are `chosen`, where some are. Returns what was created, and may call `created` with parts of
        that while others are still being made: these may be started. Where the engine refuses one of many, others may
        lack, too, and each is left to `create_service`, whose fault names it.
        """
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

    def proxied_service(self, environment: Environment, service: str, proxy: ServiceProxy) -> ProxiedService:
        """Return what tells the proxy in front of a service which of its containers come and go."""
        ...

    async def check_configuration(
        self, environment: Environment, model: Mapping[str, Any], service: str, image_id: str
    ) -> None:
        """Raise ComposeFileError where a proxy that runs would not take the configuration that a model has of it.

        Nothing is changed: it is asked in a container that is thrown away. Where none runs, nothing is asked.
        """
        ...

    async def reload_configuration(self, environment: Environment, model_hash: str, service: str) -> bool:
        """Have a proxy that runs read its configuration again; returns False where it has to be replaced for that.

        Raises ProxyError where it goes on with the one that it had.
        """
        ...

    async def remove_service(self, environment: Environment, service: str, container_ids: Iterable[str]) -> None:
        """Stop and remove these containers, which are all of a service; where it is one of a Swarm, the service."""
        ...

    async def name_images(self, environment: Environment, model_hash: str) -> Mapping[str, str]:
        """Let the names that the files of a model have for its images mean these again.

        Returns, by service, the names that a container of another project uses: those stay as they are.
        """
        ...

    async def renew_logins(self, environment: Environment) -> tuple[str, ...]:
        """Let the engine pull with today's logins what it starts by itself; returns the services that were told so."""
        ...

    async def hold_restarts(self, environment: Environment, services: Iterable[str]) -> None:
        """Let no container of these services be started again by the engine itself."""
        ...

    async def release_restarts(self, environment: Environment, model_hash: str, services: Iterable[str]) -> None:
        """Give the containers of these services the restart policy of a model again."""
        ...

    async def sweep(
        self, environment: Environment, service: str | None = None, *, spared: frozenset[str] = frozenset()
    ) -> tuple[str, ...]:
        """Fix what a killed Compose left behind (`<id>_<name>`, `created`), of one service or all of them.

        Containers that are `spared`, by id, are left as they are. Returns a description of each repair.
        """
        ...

    async def kill_orphans(self, instance_id: str) -> int:
        """Terminate Compose children that a dead process of ours left running; returns how many."""
        ...

    async def end_process(self, mark: ProcessMark) -> bool:
        """Terminate a hung process of ours; returns whether it is certainly gone."""
        ...
