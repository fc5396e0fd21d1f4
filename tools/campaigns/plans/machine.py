"""Be a machine with a Docker Engine: containers, tags, a registry and networks as plain data.

Each method is one of Docker's own commands with its rules. Nothing here knows the bot; `test_plans.py` sees to that.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count

CREATED, RUNNING, PAUSED, EXITED = "created", "running", "paused", "exited"
ALIVE = frozenset({RUNNING, PAUSED})
STOPPED_CODE, KILLED_CODE = 143, 137


class DockerError(Exception):
    """Say what the engine answers to a command that it does not carry out."""


@dataclass
class Container:
    """Hold what `docker inspect` shows of a container; `joins` is the id of that in whose namespace it is."""

    id: str
    name: str
    project: str
    service: str
    number: int
    config_hash: str
    image: str
    reference: str
    one_off: bool = False
    ends: bool = False
    joins: str = ""
    networks: frozenset[str] = frozenset()
    state: str = CREATED
    started_at: int = 0
    exit_code: int | None = None
    restart_policy: str = "unless-stopped"
    memory: int = 0


# Of each service, the containers by id, with when each was started and what it does.
Look = Mapping[str, Mapping[str, tuple[str, str]]]


@dataclass
class Machine:
    """Hold an engine's containers, and what each image name means here and in the registry."""

    containers: dict[str, Container] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    registry: dict[str, str] = field(default_factory=dict)
    listeners: list[Callable[[Container], None]] = field(default_factory=list)
    ids: Iterable[int] = field(default_factory=lambda: count(1))
    clock: Iterable[int] = field(default_factory=lambda: count(1))

    def copy(self) -> "Machine":
        """Return a machine on which things can be tried."""
        containers = {container.id: replace(container) for container in self.containers.values()}
        return replace(self, containers=containers, tags=dict(self.tags), listeners=[])

    def of(self, project: str, service: str | None = None) -> list[Container]:
        """Return the containers of a project or one of its services, in order of number; no one-off is among them."""
        found = (
            container
            for container in self.containers.values()
            if container.project == project and not container.one_off
        )
        chosen = (container for container in found if service in {None, container.service})
        return sorted(chosen, key=lambda one: (one.service, one.number, one.name))

    def look(self, project: str) -> Look:
        """Return what inspect says; what is of no service of the project goes by a name of its own."""
        found: dict[str, dict[str, tuple[str, str]]] = {}
        for container in self.containers.values():
            ours = container.project == project and not container.one_off
            name = container.service if ours else f"{container.project} {container.name}"
            found.setdefault(name, {})[container.id] = (str(container.started_at), container.state)
        return found

    # Docker's commands

    def create(self, template: Container) -> Container:
        """Create a container, with an id of its own."""
        self._refuse_taken(template.name)
        one = replace(
            template, id=f"{_next(self.ids):012x}".ljust(64, "0"), state=CREATED, started_at=0, exit_code=None
        )
        self.containers[one.id] = one
        self._tell(one)
        return one

    def start(self, container_id: str) -> None:
        """Start a container; what runs already stays as it is, and what is meant to end does so at once."""
        one = self._find(container_id)
        if one.state == PAUSED:
            raise DockerError("cannot start a paused container, try unpause instead")
        if one.state == RUNNING:
            return
        if one.joins and (one.joins not in self.containers or self.containers[one.joins].state not in ALIVE):
            raise DockerError(f"cannot join network of a non running container: {one.joins}")
        one.started_at = _next(self.clock)
        one.state, one.exit_code = (EXITED, 0) if one.ends else (RUNNING, None)
        self._tell(one)

    def stop(self, container_id: str, code: int = STOPPED_CODE) -> None:
        """Stop a container, a paused one too; what has ended stays as it is."""
        one = self._find(container_id)
        if one.state in ALIVE:
            one.state, one.exit_code = EXITED, code
            self._tell(one)

    def kill(self, container_id: str) -> None:
        """Kill a container that runs; by a hand, so that no restart policy brings it back."""
        if self._find(container_id).state not in ALIVE:
            raise DockerError("the container is not running")
        self.stop(container_id, KILLED_CODE)

    def restart(self, container_id: str) -> None:
        """Stop and start a container; where it cannot start, it has been stopped all the same."""
        self.stop(container_id)
        self.start(container_id)

    def pause(self, container_id: str) -> None:
        """Freeze a container that runs."""
        one = self._find(container_id)
        if one.state != RUNNING:
            raise DockerError("the container is not running")
        one.state = PAUSED
        self._tell(one)

    def unpause(self, container_id: str) -> None:
        """Let a paused container go on: it was not started again."""
        one = self._find(container_id)
        if one.state != PAUSED:
            raise DockerError("the container is not paused")
        one.state = RUNNING
        self._tell(one)

    def remove(self, container_id: str) -> None:
        """Remove a container by force; who is in its namespace runs on, and can never start again."""
        one = self.containers.pop(container_id, None)
        if one is None:
            raise DockerError(f"no such container: {container_id}")
        self._tell(one)

    def rename(self, container_id: str, name: str) -> None:
        """Give a container another name."""
        one = self._find(container_id)
        self._refuse_taken(name)
        one.name = name
        self._tell(one)

    def update(self, container_id: str, *, restart_policy: str | None = None, memory: int | None = None) -> None:
        """Change what can be changed of a container that exists: neither its labels nor its image."""
        one = self._find(container_id)
        one.restart_policy = one.restart_policy if restart_policy is None else restart_policy
        one.memory = one.memory if memory is None else memory
        self._tell(one)

    def disconnect(self, container_id: str) -> None:
        """Take a container off its networks; it runs on."""
        one = self._find(container_id)
        if not one.networks:
            raise DockerError("the container is not connected to the network")
        one.networks = frozenset()

    def tag(self, image: str, reference: str) -> None:
        """Let a name mean another image from now on; containers keep the one that they were made of."""
        self.tags[reference] = image

    def pull(self, reference: str) -> str:
        """Fetch what a name means in the registry."""
        if reference not in self.registry:
            raise DockerError(f"manifest unknown: {reference}")
        self.tags[reference] = self.registry[reference]
        return self.tags[reference]

    def _find(self, container_id: str) -> Container:
        if container_id not in self.containers:
            raise DockerError(f"no such container: {container_id}")
        return self.containers[container_id]

    def _refuse_taken(self, name: str) -> None:
        if any(container.name == name for container in self.containers.values()):
            raise DockerError(f"the container name {name} is already in use")

    def _tell(self, one: Container) -> None:
        for listener in list(self.listeners):
            listener(one)


def _next(numbers: Iterable[int]) -> int:
    return next(iter(numbers))
