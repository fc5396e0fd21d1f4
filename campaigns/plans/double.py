"""Be a machine with Docker and Compose, in dictionaries, for one stack: it knows nothing of how plans are made.

What Compose does with a container is written here once more, from its own behaviour: a container whose configuration
hash or image is another is replaced, one that is too many is removed, one that stands still is started.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from roas.engine.comparison import ContainerDifference, WantedService
from roas.engine.container_repair import after_repairs, plan_repairs
from roas.engine.interface import ContainerEvent, ProgressReport, ReleaseDraft, ResolvedStack, SweptContainers
from roas.errors import ReleaseNotRestorableError
from roas.models.dependency import Dependency
from roas.models.environment import Environment
from roas.models.facts import BotPlace, FoundProject
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.ownership import ProcessMark
from roas.models.release import ImagePin, Release, ReleaseService
from roas.models.stack import ServiceDefinition, WantedImage

PROJECT = "shop"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
AT_WORK = frozenset({ContainerState.RUNNING, ContainerState.RESTARTING})


@dataclass(frozen=True)
class Service:
    """Say what the compose file has of a service."""

    image: str
    setting: int = 0
    replicas: int = 1
    shares: str = ""
    needs: tuple[tuple[str, bool], ...] = ()
    one_shot: bool = False
    start_first: bool = False
    active: bool = True
    built: bool = False

    def fields(self) -> dict[str, Any]:
        """Return the service as a model has it."""
        return {
            "image": self.image,
            "setting": self.setting,
            "replicas": self.replicas,
            "network_mode": f"service:{self.shares}" if self.shares else "",
            "needs": [list(one) for one in self.needs],
            "one_shot": self.one_shot,
            "start_first": self.start_first,
            "built": self.built,
        }


@dataclass
class Machine:
    """Hold the compose file, the images, the registry and the containers of one stack."""

    file: dict[str, Service]
    local: dict[str, str] = field(default_factory=dict)  # image reference -> image ID
    registry: dict[str, str] = field(default_factory=dict)
    there: dict[str, ContainerSnapshot] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    ids: Any = field(default_factory=lambda: count(1))
    ticks: Any = field(default_factory=lambda: count(1))
    streams: list[asyncio.Queue[ContainerEvent]] = field(default_factory=list)

    # What hands and Compose do to containers

    def of(self, service: str) -> list[ContainerSnapshot]:
        """Return the containers of a service, in order of number."""
        return sorted((one for one in self.there.values() if one.service == service), key=lambda one: one.number)

    def add(self, service: str, config_hash: str, image_id: str, *, number: int = 0, name: str = "") -> str:
        """Create a container, not started."""
        taken = {one.number for one in self.of(service)}
        number = number or next(n for n in count(1) if n not in taken)
        container_id = f"{next(self.ids):064x}"
        self.there[container_id] = ContainerSnapshot(
            container_id,
            name or f"{PROJECT}-{service}-{number}",
            service,
            ContainerState.CREATED,
            HealthStatus.NONE,
            image_id,
            image_id,
            config_hash,
            number=number,
            restart_policy="unless-stopped",
        )
        return container_id

    def run(self, container_id: str, *, ends: bool = False) -> None:
        """Start a container, or let one that was paused go on."""
        one = self.there[container_id]
        if one.state is ContainerState.PAUSED:
            self.change(container_id, state=ContainerState.RUNNING)
            return
        began = BEGAN + timedelta(seconds=next(self.ticks))
        state = ContainerState.EXITED if ends else ContainerState.RUNNING
        self.change(container_id, state=state, started_at=began, exit_code=0 if ends else None)

    def change(self, container_id: str, **changes: Any) -> None:
        """Change how a container is, and tell whoever follows the events."""
        self.there[container_id] = replace(self.there[container_id], **changes)
        self._tell(self.there[container_id].service)

    def discard(self, container_id: str) -> None:
        """Remove a container."""
        if (one := self.there.pop(container_id, None)) is not None:
            self._tell(one.service)

    def _tell(self, service: str) -> None:
        for stream in self.streams:
            stream.put_nowait(ContainerEvent("change", "", service, "", {}))

    def look(self) -> dict[str, dict[str, tuple[str, str]]]:
        """Return what inspect says: of each service the containers by id, when each was started and how it is."""
        found: dict[str, dict[str, tuple[str, str]]] = {}
        for one in self.there.values():
            found.setdefault(one.service, {})[one.id] = (str(one.started_at), one.state.value)
        return found

    def hash_of(self, model: Mapping[str, Any], service: str, there: Iterable[ContainerSnapshot] | None = None) -> str:
        """Hash a service as Compose does: with the container whose namespace it shares, if that is as it should be."""
        fields = model["services"][service]
        text = json.dumps([fields["setting"], fields["image_id"]])
        shared = fields["network_mode"].removeprefix("service:")
        if shared in model["services"]:
            containers = list(self.there.values() if there is None else there)
            own = sorted((one for one in containers if one.service == shared), key=lambda one: one.name)
            wanted = self.hash_of(model, shared, containers)
            text += own[0].id if own and own[0].config_hash == wanted else "nobody's yet"
        return hashlib.sha256(text.encode()).hexdigest()


class EngineDouble:
    """Do for the phases what they ask of an engine, with a machine of dictionaries."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    # What the compose file says

    async def resolve(
        self, environment: Environment, version: str | None, *, write_contents: bool = True
    ) -> ResolvedStack:
        """Return the stack of the compose file as it is now."""
        file = self.machine.file
        active = {name: one for name, one in file.items() if one.active}
        model = {
            "services": {name: one.fields() for name, one in active.items()},
            "x-deploy": {"inactive": sorted(set(file) - set(active))},
        }
        return ResolvedStack(environment, version or "", model, self.definitions(model))

    def definitions(self, model: Mapping[str, Any]) -> Mapping[str, ServiceDefinition]:
        """Read the services of a model."""
        services = model["services"]
        return {name: _definition(name, fields, set(services)) for name, fields in services.items()}

    async def load_model(self, model_hash: str) -> Mapping[str, Any]:
        """Return a stored model."""
        if model_hash not in self.machine.models:
            raise ReleaseNotRestorableError("gone")
        return self.machine.models[model_hash]

    # Images

    async def look_up_images(self, stack: ResolvedStack, services: frozenset[str]) -> Mapping[str, WantedImage]:
        """Return what each image means now: here, in the registry, or yet to be built."""
        return {name: self._wanted_image(stack.model["services"][name], name) for name in services}

    def _wanted_image(self, fields: Mapping[str, Any], name: str) -> WantedImage:
        reference, machine = fields["image"], self.machine
        here, there = machine.local.get(reference), machine.registry.get(reference)
        if fields["built"]:
            return WantedImage(reference, here, build_hash=f"build {name} {reference}")
        if here is not None and there in {None, here}:
            return WantedImage(reference, here, f"r@{here}")
        return WantedImage(reference, None, f"r@{there}", must_pull=True)

    async def pull(
        self, environment: Environment, image: WantedImage, services: tuple[str, ...], report: ProgressReport
    ) -> str:
        """Fetch an image from the registry."""
        self.machine.local[image.reference] = self.machine.registry[image.reference]
        return self.machine.local[image.reference]

    async def build(
        self, stack: ResolvedStack, service: str, report: ProgressReport, *, expected: str | None = None
    ) -> str:
        """Build an image: what comes out is what the registry's entry of that name says."""
        reference = stack.model["services"][service]["image"]
        self.machine.local[reference] = self.machine.registry[reference]
        return self.machine.local[reference]

    # Releases

    async def preview_release(
        self,
        stack: ResolvedStack,
        image_ids: Mapping[str, str],
        *,
        kept_from: Release | None = None,
        kept_services: frozenset[str] = frozenset(),
    ) -> Mapping[str, Any]:
        """Return the pinned model."""
        services = {
            name: {**fields, "image_id": image_ids[name]}
            for name, fields in stack.model["services"].items()
            if name in image_ids
        }
        if kept_from is not None:
            old = self.machine.models[kept_from.model_hash]["services"]
            services |= {name: old[name] for name in kept_services if name in old}
        return {"services": services, "x-deploy": stack.model["x-deploy"]}

    async def draft_release(
        self,
        stack: ResolvedStack,
        image_ids: Mapping[str, str],
        *,
        kept_from: Release | None = None,
        kept_services: frozenset[str] = frozenset(),
    ) -> ReleaseDraft:
        """Store the pinned model."""
        model = dict(await self.preview_release(stack, image_ids, kept_from=kept_from, kept_services=kept_services))
        model_hash = hashlib.sha256(json.dumps(model, sort_keys=True).encode()).hexdigest()
        self.machine.models[model_hash] = model
        services = tuple(
            ReleaseService(
                name,
                ImagePin(fields["image"], fields["image_id"], f"r@{fields['image_id']}"),
                "d",
                fields["replicas"],
            )
            for name, fields in sorted(model["services"].items())
        )
        return ReleaseDraft(stack.version, services, model_hash)

    async def adopt(self, environment: Environment) -> ReleaseDraft | None:
        """Adopt nothing: here every stack is the bot's own."""
        return None

    async def check_release(self, environment: Environment, model_hash: str) -> None:
        """Refuse nothing: there is no policy here."""

    async def refresh_credentials(self, environment: Environment, release: Release) -> tuple[str, tuple[str, ...]]:
        """Return the model as it is: there are no credentials here."""
        return release.model_hash, ()

    async def preview_refreshed(
        self, environment: Environment, release: Release
    ) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """Return the model as it is."""
        return await self.load_model(release.model_hash), ()

    async def hash_release(self, environment: Environment, model: Mapping[str, Any]) -> str:
        """Bind to nothing: there are no secrets, and the settings stay."""
        return ""

    async def protect(self, release: Release, environment: Environment) -> None:
        """Do nothing: nobody prunes here."""

    async def held_releases(self, environment: Environment) -> frozenset[int]:
        """Hold nothing."""
        return frozenset()

    async def unprotect(
        self, release: Release, environment: Environment, *, needed: frozenset[str] = frozenset()
    ) -> None:
        """Do nothing."""

    async def clear_unused(self, needed: frozenset[str]) -> None:
        """Do nothing."""

    async def missing_images(self, release: Release, environment: Environment) -> tuple[str, ...]:
        """Miss nothing."""
        return ()

    # Containers

    async def misled_binds(self, environment: Environment, model_hash: str) -> Mapping[str, str]:
        """Find nothing: there are no paths here."""
        return {}

    async def hold_restarts(self, environment: Environment, services: Iterable[str]) -> None:
        """Hold nothing."""

    async def release_restarts(self, environment: Environment, model_hash: str, services: Iterable[str]) -> None:
        """Hold nothing."""

    async def projects(self, environment: Environment) -> tuple[FoundProject, ...]:
        """Have no other project."""
        return ()

    async def containers(self, environment: Environment) -> tuple[ContainerSnapshot, ...]:
        """Return every container."""
        return tuple(sorted(self.machine.there.values(), key=lambda one: (one.service, one.number, one.name)))

    async def outline(self, environment: Environment) -> tuple[ContainerSnapshot, ...]:
        """Return every container."""
        return await self.containers(environment)

    async def containers_by_id(
        self, environment: Environment, container_ids: Iterable[str]
    ) -> tuple[ContainerSnapshot, ...]:
        """Return some containers."""
        wanted = set(container_ids)
        return tuple(one for one in await self.containers(environment) if one.id in wanted)

    async def wanted_services(
        self,
        environment: Environment,
        model: Mapping[str, Any],
        containers: tuple[ContainerSnapshot, ...] | None = None,
    ) -> Mapping[str, WantedService]:
        """Return the hash that each service should have now."""
        return {
            name: WantedService(one, self.machine.hash_of(model, name, containers))
            for name, one in self.definitions(model).items()
        }

    async def current_hashes(self, model_hash: str, environment: Environment) -> Mapping[str, str]:
        """Return the hash that each service should have now."""
        model = self.machine.models[model_hash]
        return {name: self.machine.hash_of(model, name) for name in model["services"]}

    async def create_missing(
        self, environment: Environment, model_hash: str, chosen: frozenset[str] | None = None
    ) -> None:
        """Create what has no container yet; who shares a namespace waits for the other."""
        model = self.machine.models[model_hash]
        for name in sorted(model["services"]):
            fields = model["services"][name]
            if (chosen is None or name in chosen) and not fields["network_mode"] and not self.machine.of(name):
                for _ in range(fields["replicas"]):
                    self.machine.add(name, self.machine.hash_of(model, name), fields["image_id"])

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
        """Make a service's containers as the model says, as Compose does."""
        machine, model = self.machine, self.machine.models[model_hash]
        fields = model["services"][service]
        wanted = machine.hash_of(model, service)
        if not beside:
            best_first = sorted(
                machine.of(service),
                key=lambda one: (one.config_hash != wanted, one.state is not ContainerState.RUNNING, one.number),
            )
            for one in best_first[fields["replicas"] :]:
                machine.discard(one.id)
            for one in machine.of(service):
                if one.config_hash != wanted or anew:
                    machine.discard(one.id)
                    machine.add(service, wanted, fields["image_id"], number=one.number)
        while sum(one.config_hash == wanted for one in machine.of(service)) < fields["replicas"]:
            machine.add(service, wanted, fields["image_id"])
        done = fields["one_shot"]
        return tuple(
            one.id
            for one in machine.of(service)
            if one.config_hash == wanted
            and one.state not in AT_WORK
            and not (done and one.state is ContainerState.EXITED and one.exit_code == 0)
        )

    async def start(self, environment: Environment, container_id: str) -> None:
        """Start a container; what is meant to end does so at once."""
        machine = self.machine
        machine.run(container_id, ends=machine.there[container_id].service.startswith("job"))

    async def stop(self, environment: Environment, container_id: str) -> None:
        """Stop a container."""
        one = self.machine.there.get(container_id)
        if one is not None and one.state in AT_WORK | {ContainerState.PAUSED}:
            self.machine.change(container_id, state=ContainerState.EXITED, exit_code=0)

    async def remove(self, environment: Environment, container_id: str, *, grace_seconds: float | None = None) -> None:
        """Remove a container."""
        self.machine.discard(container_id)

    async def container_differences(
        self, environment: Environment, model: Mapping[str, Any]
    ) -> Mapping[str, ContainerDifference]:
        """Find none: there are no keys here."""
        return {}

    async def expected_repairs(
        self, environment: Environment, *, spared: frozenset[str] = frozenset()
    ) -> SweptContainers:
        """Return the containers as a sweep would leave them."""
        there = await self.containers(environment)
        left = after_repairs(there, plan_repairs(there))
        kept = {one.id for one in left}
        return SweptContainers(left, tuple(one for one in there if one.id not in kept))

    async def sweep(
        self, environment: Environment, service: str | None = None, *, spared: frozenset[str] = frozenset()
    ) -> tuple[str, ...]:
        """Do away with what a killed Compose left."""
        done = []
        for repair in list(plan_repairs(await self.containers(environment))):
            done.append(repair.description)
            if repair.new_name:
                self.machine.change(repair.container.id, name=repair.new_name)
            else:
                self.machine.discard(repair.container.id)
        return tuple(done)

    @asynccontextmanager
    async def events(
        self, environment: Environment, *, since_ns: int | None = None
    ) -> AsyncIterator[AsyncIterator[ContainerEvent]]:
        """Follow the containers' events."""
        queue: asyncio.Queue[ContainerEvent] = asyncio.Queue()
        self.machine.streams.append(queue)

        async def iterate() -> AsyncIterator[ContainerEvent]:
            while True:
                yield await queue.get()

        try:
            yield iterate()
        finally:
            self.machine.streams.remove(queue)

    async def failure_output(self, environment: Environment, container_id: str, *, lines: int = 30) -> str:
        """Have nothing to say."""
        return ""

    async def read_log(
        self, environment: Environment, container_id: str, *, lines: int, since: datetime | None = None
    ) -> str:
        """Have nothing to say."""
        return ""

    async def local_versions(self, environment: Environment) -> tuple[str, ...]:
        """Know no versions."""
        return ()

    async def bot_places(self, environment: Environment, container_ids: Iterable[str]) -> Mapping[str, BotPlace]:
        """Have no bot in any container."""
        return {one: BotPlace(str(Path("/state"))) for one in container_ids}

    async def kill_orphans(self, instance_id: str) -> int:
        """Have no Compose that could be left over."""
        return 0

    async def end_process(self, mark: ProcessMark) -> bool:
        """Have no process that could hang."""
        return True


def _definition(name: str, fields: Mapping[str, Any], known: set[str]) -> ServiceDefinition:
    edges = [Dependency(name, on, restart=restart) for on, restart in fields["needs"] if on in known]
    shared = fields["network_mode"].removeprefix("service:")
    if shared in known and shared not in {edge.on for edge in edges}:
        edges.append(Dependency(name, shared, restart=True))
    return ServiceDefinition(
        name,
        fields["image"],
        json.dumps(fields, sort_keys=True),
        tuple(edges),
        built=fields["built"],
        replicas=fields["replicas"],
        one_shot=fields["one_shot"],
        start_first=fields["start_first"],
        monitor_seconds=0.0,
    )
