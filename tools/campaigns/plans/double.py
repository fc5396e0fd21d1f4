"""Do for the product what the interface of its engine promises, on a machine of plain data with Docker and Compose.

Of the product there are the interface's own types here, and nothing that plans, compares or repairs.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from roas.errors import EngineError, ServiceFailedError
from roas.models.environment import Environment
from roas.models.facts import BotPlace, FoundProject
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.release import ImagePin, Release, ReleaseService
from roas.models.stack import Dependency, ServiceDefinition, ServiceProxy, WantedImage
from roas.stack.interface import (
    ContainerEvent,
    PinnedStack,
    ProgressReport,
    ResolvedStack,
    SweptContainers,
)
from roas.stack.proxy.proxied_service import ProxiedService
from tools.campaigns.plans.composing import Compose, Service, hash_of, joined_by, with_version
from tools.campaigns.plans.machine import PAUSED, RUNNING, Container, DockerError, Machine
from tools.campaigns.plans.plain_answers import PlainAnswers
from tools.campaigns.plans.sweeping import sweep

PROJECT = "shop"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
# What stands for the container that a service is to share with, while that one is not as the model says.
NOBODY = "nobody's yet"


@dataclass(frozen=True)
class Wanted:
    """Answer what the engine's interface asks of a wanted service: what fits it, and what needs no start."""

    definition: ServiceDefinition
    config_hash: str
    image_id: str
    unwritten: bool = False  # only a service of a Swarm can be
    unread: bool = False  # only a proxy can be

    def fits(self, container: ContainerSnapshot) -> bool:
        """Return whether Compose would leave a container: its label and its image are those of the model."""
        return (container.config_hash, container.image_id) == (self.config_hash, self.image_id)

    def is_like(self, other: "Wanted") -> bool:
        """Return whether another model wants the same containers."""
        return (self.config_hash, self.image_id) == (other.config_hash, other.image_id)

    def is_settled(self, container: ContainerSnapshot) -> bool:
        """Return whether a container is as it should be without a start."""
        if self.definition.one_shot and (container.state, container.exit_code) == (ContainerState.EXITED, 0):
            return True
        return container.state is ContainerState.RUNNING


class NoRepositories:
    """Leave the files of every stack as they are."""

    @asynccontextmanager
    async def hold(self, environment: Environment, expected: str = "") -> AsyncIterator[str]:
        """Bring nothing."""
        yield ""


class EngineDouble(PlainAnswers):
    """Be a stack on a machine of dictionaries."""

    repositories = NoRepositories()

    def __init__(self, machine: Machine, file: dict[str, Service], environment: Environment) -> None:
        self.environment = environment
        self.machine = machine
        self.file = file
        self.models = {}
        self.drafted: dict[str, Service] = {}

    # What the compose file says

    async def resolve(self, version: str | None, *, write_contents: bool = True) -> ResolvedStack:
        """Return the stack of the compose file as it is now."""
        active = with_version(self.file, version or "")
        model = {
            "services": {name: item.fields() for name, item in active.items()},
            "x-deploy": {"inactive": sorted(self.file.keys() - active.keys())},
        }
        return ResolvedStack(self.environment, version or "", model, self.definitions(model))

    def definitions(self, model: Mapping[str, Any]) -> Mapping[str, ServiceDefinition]:
        """Read the services of a model."""
        services = _services(model)
        return {name: _definition(name, services) for name in services}

    def in_front_of(self, service: str, proxy: ServiceProxy) -> ProxiedService:
        """No service of these stacks has a proxy in front."""
        raise NotImplementedError

    # Images

    async def look_up(self, stack: ResolvedStack, services: frozenset[str]) -> Mapping[str, WantedImage]:
        """Return what each image means now: here, in the registry, or yet to be built."""
        return {name: self._wanted_image(stack.model["services"][name], name) for name in services}

    def _wanted_image(self, fields: Mapping[str, Any], name: str) -> WantedImage:
        reference, machine = fields["image"], self.machine
        here, there = machine.tags.get(reference), machine.registry.get(reference)
        if fields["built"]:
            return WantedImage(reference, here, build_hash=f"build {name} {reference}")
        if here is not None and (here == there or not fields["pull_always"]):
            return WantedImage(reference, here, f"r@{here}")
        return WantedImage(reference, None, f"r@{there}", must_pull=True)

    async def pull(self, image: WantedImage, services: tuple[str, ...], report: ProgressReport) -> str:
        """Fetch an image from the registry."""
        with _told():
            return self.machine.pull(image.reference)

    async def build(
        self, stack: ResolvedStack, service: str, report: ProgressReport, *, expected: str | None = None
    ) -> str:
        """Build an image: what comes out is what the registry's entry of that name says."""
        with _told():
            return self.machine.pull(stack.model["services"][service]["image"])

    # Releases

    async def preview(
        self,
        stack: ResolvedStack,
        image_ids: Mapping[str, str],
        *,
        kept_from: Release | None = None,
        kept_services: frozenset[str] = frozenset(),
    ) -> Mapping[str, Any]:
        """Return the pinned model."""
        services = {
            name: {**fields, "image": _pinned(fields["image"], image_ids[name]), "image_id": image_ids[name]}
            for name, fields in stack.model["services"].items()
            if name in image_ids
        }
        if kept_from is not None:
            old = self.models[kept_from.model_hash]["services"]
            services |= {name: old[name] for name in kept_services if name in old}
        return {"services": services, "x-deploy": stack.model["x-deploy"]}

    async def pin_with(self, current: Release, service: str, earlier: Release) -> PinnedStack:
        """Refuse: no plan has one service go back."""
        raise NotImplementedError

    async def pin(
        self,
        stack: ResolvedStack,
        image_ids: Mapping[str, str],
        *,
        kept_from: Release | None = None,
        kept_services: frozenset[str] = frozenset(),
    ) -> PinnedStack:
        """Store the pinned model."""
        model = dict(await self.preview(stack, image_ids, kept_from=kept_from, kept_services=kept_services))
        model_hash = hashlib.sha256(json.dumps(model, sort_keys=True).encode()).hexdigest()
        self.models[model_hash] = model
        self.drafted = _services(model)
        services = tuple(
            ReleaseService(
                name,
                ImagePin(fields["image"], fields["image_id"], f"r@{fields['image_id']}"),
                "d",
                fields["replicas"],
            )
            for name, fields in sorted(model["services"].items())
        )
        return PinnedStack(stack.version, services, model_hash)

    # Containers

    async def projects(self) -> tuple[FoundProject, ...]:
        """Return the projects of the machine: every one is of the one folder that there is."""
        names = sorted({container.project for container in self.machine.containers.values()})
        folders = frozenset({str(self.environment.folder)})
        return tuple(FoundProject(name, folders=folders) for name in names)

    async def containers(self) -> tuple[ContainerSnapshot, ...]:
        """Return every container."""
        return tuple(_snapshot(item) for item in self.machine.of(self.environment.project))

    async def listed(self) -> tuple[ContainerSnapshot, ...]:
        """Return every container."""
        return await self.containers()

    async def wanted_services(
        self,
        model: Mapping[str, Any],
        containers: tuple[ContainerSnapshot, ...] | None = None,
        *,
        as_it_is: bool = False,
    ) -> Mapping[str, Any]:
        """Return what a model wants of each service; not the product's own type, whose answers the plan is made of."""
        there = await self.containers() if containers is None else containers
        services = _services(model)
        return {
            name: Wanted(definition, _wanted_hash(services, name, there), services[name].image_id)
            for name, definition in self.definitions(model).items()
        }

    async def create_missing(
        self, model_hash: str, chosen: frozenset[str] | None = None, **_named: Any
    ) -> tuple[ContainerSnapshot, ...]:
        """Create what has no container yet; what has some keeps them, as many as there are."""
        before = {container.id for container in await self.containers()}
        services, project = _services(self.models[model_hash]), self.environment.project
        lacking = [
            name
            for name, service in services.items()
            if (chosen is None or name in chosen) and service.replicas and not self.machine.of(project, name)
        ]
        lacking += [item.shares for item in map(services.__getitem__, lacking) if item.shares]
        self._give_names(services)
        with _told():
            Compose(self.machine, project, _stored(services), no_recreate=True).create(
                [name for name in lacking if not self.machine.of(project, name)], deps=False
            )
        return tuple(container for container in await self.containers() if container.id not in before)

    async def create_service(
        self,
        model_hash: str,
        service: str,
        *,
        beside: bool = False,
        recreate: bool = False,
        spared: frozenset[str] = frozenset(),
        seen: tuple[ContainerSnapshot, ...] | None = None,
        at_most: int | None = None,
        deployment: str = "",
    ) -> tuple[str, ...]:
        """Make a service's containers as the model says: what is in the way goes first, and Compose does the rest."""
        model, project, machine = self.models[model_hash], self.environment.project, self.machine
        services = _services(model)
        replicas = services[service].replicas

        async def fitting() -> list[ContainerSnapshot]:
            wanted = (await self.wanted_services(model))[service]
            return [item for item in map(_snapshot, machine.of(project, service)) if wanted.fits(item)]

        fit = {item.id for item in await fitting()}
        if not beside:
            self._make_room(machine.of(project, service), set() if recreate else fit, fit, replicas)
        there = machine.of(project, service)
        if recreate or sum(item.id in fit for item in there) < replicas:
            for container in there:
                # Compose would start what is paused, and Docker refuses that.
                if container.state == PAUSED and (beside or (container.id in fit and not recreate)):
                    machine.unpause(container.id)
            missing = replicas - len(fit)
            scale = {service: len(there) + min(missing, at_most or missing)} if beside else {}
            self._give_names(services)
            with _told(service):
                compose = Compose(machine, project, _stored(services), no_recreate=beside, scale=scale)
                compose.create([service], deps=False, recreate=recreate)
        wanted, made = (await self.wanted_services(model))[service], await fitting()
        if replicas and not made:
            raise EngineError(f"no container of {service} is as the model says", service=service)
        return tuple(item.id for item in made if not wanted.is_settled(item))

    def _make_room(self, there: list[Container], stay: set[str], fit: set[str], replicas: int) -> None:
        """Remove what is too many, and what has the number of another and would get a successor of the same name."""
        best = sorted(there, key=lambda one: (one.id not in fit, one.state != RUNNING, _is_copied(one), one.number))
        numbers: set[int] = set()
        for position, release in enumerate(best):
            if position >= replicas or (release.number in numbers and release.id not in stay):
                self.machine.remove(release.id)
            numbers.add(release.number)

    def _give_names(self, services: Mapping[str, Service]) -> None:
        """Let every name of a release mean its own image again: a hand may have moved it."""
        for service in services.values():
            self.machine.tag(service.image_id, service.image)

    async def start(self, container_id: str) -> None:
        """Start a container, or let one that was paused go on."""
        one = self.machine.containers.get(container_id)
        with _told(one.service if one else ""):
            if one is not None and one.state == PAUSED:
                self.machine.unpause(container_id)
            else:
                self.machine.start(container_id)

    async def stop(self, container_id: str) -> None:
        """Stop a container; a missing one is no error."""
        if container_id in self.machine.containers:
            self.machine.stop(container_id)

    async def remove(self, container_id: str, *, grace_seconds: float | None = None) -> None:
        """Remove a container; a missing one is no error."""
        if container_id in self.machine.containers:
            self.machine.remove(container_id)

    async def now(self) -> datetime:
        """Return the machine's time: what hands make, they make just now."""
        return BEGAN

    async def expected_repairs(self, *, spared: frozenset[str] = frozenset()) -> SweptContainers:
        """Sweep a copy of the machine, and look what is left."""
        tried = self.machine.copy()
        sweep(tried, self.environment.project, spared=spared)
        left = tuple(_snapshot(item) for item in tried.of(self.environment.project))
        gone = self.machine.containers.keys() - tried.containers.keys()
        return SweptContainers(left, tuple(container for container in await self.containers() if container.id in gone))

    async def sweep(self, service: str | None = None, *, spared: frozenset[str] = frozenset()) -> tuple[str, ...]:
        """Do away with what a killed Compose left."""
        return sweep(self.machine, self.environment.project, service, spared)

    @asynccontextmanager
    async def events(self, *, since_ns: int | None = None) -> AsyncIterator[AsyncIterator[ContainerEvent]]:
        """Follow the containers' events."""
        queue: asyncio.Queue[ContainerEvent] = asyncio.Queue()

        def tell(one: Container) -> None:
            if one.project == self.environment.project:
                queue.put_nowait(ContainerEvent("change", one.id, one.service, one.project, {}))

        self.machine.listeners.append(tell)

        async def iterate() -> AsyncIterator[ContainerEvent]:
            while True:
                yield await queue.get()

        try:
            yield iterate()
        finally:
            self.machine.listeners.remove(tell)

    async def bot_places(self, container_ids: Iterable[str]) -> Mapping[str, BotPlace]:
        """Have no bot in any container."""
        return {container_id: BotPlace(str(Path("/state"))) for container_id in container_ids}


def _services(model: Mapping[str, Any]) -> dict[str, Service]:
    return {name: Service.read(fields) for name, fields in model["services"].items()}


def _stored(services: Mapping[str, Service]) -> dict[str, Service]:
    """Return services as Compose finds them in a stored model: what they only depend on is the bot's affair."""
    return {name: replace(service, needs=()) for name, service in services.items()}


def _definition(name: str, services: Mapping[str, Service]) -> ServiceDefinition:
    one = services[name]
    edges = [Dependency(name, on, restart=restart) for on, restart in one.needs if on in services]
    if one.shares in services and one.shares not in {edge.on for edge in edges}:
        edges.append(Dependency(name, one.shares, restart=True))
    sharers = tuple(sorted(other for other in services if services[other].shares == name))
    return ServiceDefinition(
        name,
        one.image,
        json.dumps(one.fields(), sort_keys=True),
        tuple(edges),
        built=one.built,
        replicas=one.replicas,
        one_shot=one.one_shot,
        # Who shares a namespace can join one container only.
        start_first=one.start_first and not sharers,
        shared_by=sharers,
        monitor_seconds=0.0,
    )


def _wanted_hash(services: Mapping[str, Service], name: str, containers: Iterable[ContainerSnapshot]) -> str:
    """Return the hash that a service's container should have, once the one that it joins is as the model says.

    By then, what is too many of that one is gone.
    """
    there, shares = tuple(containers), services[name].shares
    if shares not in services:
        return hash_of(services[name])
    wanted = _wanted_hash(services, shares, there), services[shares].image_id

    def little(one: ContainerSnapshot) -> tuple[bool, bool, bool, int]:
        unlike = (one.config_hash, one.image_id) != wanted
        return unlike, one.state is not ContainerState.RUNNING, _is_copied(one), one.number

    best = sorted((service for service in there if service.service == shares), key=little)
    joined = joined_by(services[name], best[: max(1, services[shares].replicas)])
    settled = joined is not None and joined.config_hash == wanted[0]
    return hash_of(services[name], joined.id if joined is not None and settled else NOBODY)


def _is_copied(one: Container | ContainerSnapshot) -> bool:
    """Return whether a container has another name than Compose gives to its number."""
    return one.name != f"{one.project}-{one.service}-{one.number}"


def _pinned(reference: str, image_id: str) -> str:
    """Name the content of an image: whatever `reference` means later, this means the same."""
    if reference.startswith("roas/"):
        return reference
    return f"roas/{reference}-{image_id.removeprefix('sha256:')}"


def _snapshot(one: Container) -> ContainerSnapshot:
    return ContainerSnapshot(
        one.id,
        one.name,
        one.service,
        ContainerState(one.state),
        HealthStatus.NONE,
        one.image,
        one.reference,
        one.config_hash,
        exit_code=one.exit_code,
        started_at=BEGAN + timedelta(seconds=one.started_at) if one.started_at else None,
        number=one.number,
        restart_policy=one.restart_policy,
        project=one.project,
    )


@contextmanager
def _told(service: str = "") -> Iterator[None]:
    """Say what Docker refuses as the engine's interface has it."""
    try:
        yield
    except DockerError as error:
        text = f"{service}: {error}"
        raise (ServiceFailedError(text, service=service) if service else EngineError(text)) from error
