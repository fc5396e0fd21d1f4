"""Compare what a model wants of a service with the containers that the engine shows.

Plan, execution, rollback and drift all ask here, so that none of them can see another difference than the others.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.stack import ServiceDefinition


@dataclass(frozen=True, slots=True)
class WantedService:
    """Hold what a model wants of one service; `image_id` is empty where the configuration hash covers the image.

    `unwritten` is a service of a Swarm that is to have no replicas, and is not there like that: no container shows it.
    `unread` is a proxy whose files hold another configuration than it has read. `joins` is the container whose network
    the service shares by its name, which its configuration hash does not tell.
    """

    definition: ServiceDefinition
    config_hash: str
    image_id: str = ""
    unwritten: bool = False
    unread: bool = False
    joins: str = ""

    def fits(self, container: ContainerSnapshot) -> bool:
        """Return whether a container is as the model says, running or not."""
        is_joined = not self.joins or self.joins in container.shares_with
        return container.config_hash == self.config_hash and self.image_id in {"", container.image_id} and is_joined

    def is_like(self, other: "WantedService") -> bool:
        """Return whether another model wants the same of the service, but for how many there are."""
        return (self.config_hash, self.image_id) == (other.config_hash, other.image_id)

    def is_settled(self, container: ContainerSnapshot) -> bool:
        """Return whether a container needs no start: it runs, or has done its work."""
        done = container.state is ContainerState.EXITED and container.exit_code == 0
        return container.state is ContainerState.RUNNING or (self.definition.one_shot and done)


@dataclass(frozen=True, slots=True)
class ServiceDifference:
    """Say how the containers of a service differ from what is wanted.

    `unlike` are replaced, `idle` are started, `surplus` are removed; `missing` are created. One that is `unwritten` has
    no containers by which it would differ; one that is `unread` by its proxy needs no other ones.
    """

    service: str
    unlike: tuple[ContainerSnapshot, ...] = ()
    idle: tuple[ContainerSnapshot, ...] = ()
    surplus: tuple[ContainerSnapshot, ...] = ()
    missing: int = 0
    unwritten: bool = False
    unread: bool = False

    @property
    def is_only_unread(self) -> bool:
        """Return whether nothing differs but the configuration that a proxy has read."""
        return self.unread and not (self.unlike or self.idle or self.surplus or self.missing or self.unwritten)

    @property
    def is_only_idle(self) -> bool:
        """Return whether nothing differs but containers that do not run."""
        return bool(self.idle) and not (self.unlike or self.surplus or self.missing or self.unwritten or self.unread)

    @property
    def has_only_too_many(self) -> bool:
        """Return whether nothing differs but that there are too many containers."""
        return bool(self.surplus) and not (self.unlike or self.idle or self.missing or self.unwritten or self.unread)

    @property
    def is_short(self) -> bool:
        """Return whether fewer containers run than are wanted."""
        return bool(
            self.missing or self.idle or any(container.state is not ContainerState.RUNNING for container in self.unlike)
        )

    def __bool__(self) -> bool:
        """Return whether anything differs."""
        return bool(self.unlike or self.idle or self.surplus or self.missing or self.unwritten or self.unread)


@dataclass(frozen=True, slots=True)
class ContainerDifference:
    """Name the keys in which a container is other than a model says; never a value.

    `keys` count where it was made from another configuration, `changed` are those that hands change in place: by
    `docker update`, by connecting and disconnecting networks, or by another name. Its configuration hash does not tell
    of these.
    """

    keys: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


def by_service(containers: Iterable[ContainerSnapshot]) -> dict[str, list[ContainerSnapshot]]:
    """Return containers by the service that they are of."""
    found: dict[str, list[ContainerSnapshot]] = {}
    for container in containers:
        found.setdefault(container.service, []).append(container)
    return found


def compare_service(wanted: WantedService, containers: Iterable[ContainerSnapshot]) -> ServiceDifference:
    """Compare a service with its containers."""
    ranked = rank(wanted.fits, containers)
    replicas = max(wanted.definition.replicas, 0)
    kept, beyond = ranked[:replicas], ranked[replicas:]
    return ServiceDifference(
        wanted.definition.name,
        unlike=tuple(container for container in kept if not wanted.fits(container)),
        idle=tuple(container for container in kept if wanted.fits(container) and not wanted.is_settled(container)),
        surplus=tuple(beyond),
        missing=replicas - len(kept),
        unwritten=wanted.unwritten,
        unread=wanted.unread,
    )


def runs_well(container: ContainerSnapshot) -> bool:
    """Return whether a container runs, and no health check of it fails."""
    return container.state is ContainerState.RUNNING and container.health is not HealthStatus.UNHEALTHY


def serves(container: ContainerSnapshot) -> bool:
    """Return whether a container may get requests: it runs, and its health check passes if it has one."""
    return runs_well(container) and container.health is not HealthStatus.STARTING


def rank(fits: Callable[[ContainerSnapshot], bool], containers: Iterable[ContainerSnapshot]) -> list[ContainerSnapshot]:
    """Order containers by how much they are worth keeping, the best first: what `fits` before all."""

    def worth(container: ContainerSnapshot) -> tuple[bool, bool, bool, bool, int]:
        return (
            fits(container),
            container.health is HealthStatus.HEALTHY,
            container.state is ContainerState.RUNNING,
            # A copy that somebody ran beside it has its labels, and so its number, but not its name.
            container.name.endswith(f"-{container.service}-{container.number}"),
            -container.number,
        )

    return sorted(containers, key=worth, reverse=True)
