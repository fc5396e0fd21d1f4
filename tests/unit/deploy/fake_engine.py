"""An engine of plain dictionaries, for tests of logic: containers become ready, fail or hang as a test says."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

from roas.concurrency import run_concurrently
from roas.errors import ReleaseNotRestorableError, RoasError
from roas.models.facts import BotPlace, FoundProject, Mount
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.leader_lease import ProcessMark
from roas.models.release import ImagePin, Release, ReleaseService
from roas.models.stack import Obstacle, ServiceDefinition, WantedImage
from roas.stack.interface import (
    ContainerEvent,
    PinnedStack,
    ProgressReport,
    ResolvedStack,
    SweptContainers,
)
from roas.stack.service_comparison import WantedService
from tests.unit.one_stack import OneStack
from tools.campaigns.plans.plain_answers import PlainAnswers

HEALTHY = (ContainerState.RUNNING, HealthStatus.HEALTHY)
UNHEALTHY = (ContainerState.RUNNING, HealthStatus.UNHEALTHY)
STARTING = (ContainerState.RUNNING, HealthStatus.STARTING)
AT_WORK = frozenset({ContainerState.RUNNING, ContainerState.RESTARTING})


ROOT = {"type": "bind", "source": "/", "target": "/"}
# A version of a service that sees another folder of the machine as its state folder.
MOVED = "moved"


def _mounting(model: Mapping[str, Any]) -> dict[str, Any]:
    """Let every service of a model see the files of the machine, as its containers do."""
    return {"services": {name: {**fields, "volumes": [_mount(fields)]} for name, fields in model["services"].items()}}


def _mount(fields: Mapping[str, Any]) -> dict[str, str]:
    return ROOT | {"source": "/elsewhere"} if str(fields["image"]).endswith(f":{MOVED}") else ROOT


@dataclass
class FakeEngine(OneStack, PlainAnswers):
    """Keep containers in a dictionary. `behaviour` says how (version, service) turns out, else it is healthy."""

    stack: dict[str, ServiceDefinition]
    behaviour: dict[tuple[str, str], tuple[ContainerState, HealthStatus]] = field(default_factory=dict)
    faults: dict[str, list[RoasError]] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    running: dict[str, ContainerSnapshot] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    protected: set[int] = field(default_factory=set)
    # The deployment that wrote what a Swarm has; empty where there is none.
    writer: str = ""
    journal_id: str = ""
    ids: Any = field(default_factory=lambda: count(1))
    streams: list[asyncio.Queue[ContainerEvent | None]] = field(default_factory=list)
    hold: asyncio.Event | None = None
    hold_unprotect: asyncio.Event | None = None
    left_out: frozenset[str] = frozenset()  # services that are known, but not in the compose file any more
    adoptable: PinnedStack | None = None
    inputs: str = "settings"
    beside: dict[str, str] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    lacking: tuple[Obstacle, ...] = ()
    own: frozenset[str] = frozenset()  # the services of a Swarm that the bot is of

    def _called(self, name: str, subject: str = "") -> None:
        self.calls.append((name, subject))
        if self.faults.get(name):
            raise self.faults[name].pop(0)

    def started(self) -> list[str]:
        """Return the services whose containers were started, in order."""
        return [subject for name, subject in self.calls if name == "start"]

    def versions(self) -> dict[str, str]:
        """Return which version each service's running container is of."""
        return {c.service: c.image_reference for c in self.running.values() if c.state is ContainerState.RUNNING}

    async def resolve(self, version: str | None, *, write_contents: bool = True) -> ResolvedStack:
        self._called("resolve")
        stack = {name: d for name, d in self.stack.items() if name not in self.left_out}
        model = _mounting({"services": {name: {"image": f"{name}:{version}"} for name in stack}})
        definitions = {name: replace(d, image=f"{name}:{version}") for name, d in stack.items()}
        return ResolvedStack(self.environment, version or "", model, definitions)

    async def projects(self) -> tuple[FoundProject, ...]:
        return ()

    async def load_model(self, model_hash: str) -> Mapping[str, Any]:
        if model_hash not in self.models:
            raise ReleaseNotRestorableError("gone")
        return _mounting(self.models[model_hash])

    def definitions(self, model: Mapping[str, Any]) -> Mapping[str, ServiceDefinition]:
        return {name: self.stack[name] for name in model["services"]}

    async def look_up(self, stack: ResolvedStack, services: frozenset[str]) -> Mapping[str, WantedImage]:
        self._called("look_up")
        return {
            name: WantedImage(f"{name}:{stack.version}", digest=f"{name}@sha256:{stack.version}", must_pull=True)
            for name in services
        }

    async def pull(self, image: WantedImage, services: tuple[str, ...], report: ProgressReport) -> str:
        self._called("pull", image.reference)
        await report(services[0], "half", 0.5)
        if self.hold is not None:
            await self.hold.wait()
        return f"sha256:{image.reference}"

    async def build(
        self, stack: ResolvedStack, service: str, report: ProgressReport, *, expected: str | None = None
    ) -> str:
        self._called("build", service)
        return f"sha256:{service}:{stack.version}"

    async def pin(
        self,
        stack: ResolvedStack,
        image_ids: Mapping[str, str],
        *,
        kept_from: Release | None = None,
        kept_services: frozenset[str] = frozenset(),
    ) -> PinnedStack:
        self._called("pin")
        kept = {s.name: s for s in kept_from.services if s.name in kept_services} if kept_from else {}
        services = tuple(
            kept.get(name)
            or ReleaseService(
                name, ImagePin(f"{name}:{stack.version}", image_ids[name], f"{name}@sha256:{stack.version}"), "d"
            )
            for name in self.stack
            if name in image_ids or name in kept
        )
        model = {"services": {s.name: {"image": s.image.reference} for s in services}}
        model_hash = "|".join(s.image.reference for s in services)
        self.models[model_hash] = model
        return PinnedStack(stack.version, services, model_hash)

    async def preview(
        self,
        stack: ResolvedStack,
        image_ids: Mapping[str, str],
        *,
        kept_from: Release | None = None,
        kept_services: frozenset[str] = frozenset(),
    ) -> Mapping[str, Any]:
        kept = {s.name: s.image.reference for s in kept_from.services if s.name in kept_services} if kept_from else {}
        images = {name: f"{name}:{stack.version}" for name in image_ids} | kept
        return {"services": {name: {"image": images[name]} for name in self.stack if name in images}}

    async def pin_with(self, current: Release, services: Collection[str], other: Release | PinnedStack) -> PinnedStack:
        self._called("pin_with")
        pinned = {s.name: s for s in current.services} | {s.name: s for s in other.services if s.name in services}
        services = tuple(pinned.values())
        model_hash = "|".join(s.image.reference for s in services)
        self.models[model_hash] = {"services": {s.name: {"image": s.image.reference} for s in services}}
        return PinnedStack(current.version, services, model_hash)

    async def adopt(self, version: str | None = None) -> PinnedStack | None:
        self._called("adopt")
        return self.adoptable

    async def version_of(self, services: Iterable[ReleaseService]) -> str:
        return ""

    async def networks_and_volumes(self, model: Mapping[str, Any]) -> Mapping[str, str]:
        return dict(self.beside)

    async def discard_builds(self, names: Collection[str]) -> None:
        self._called("discard_builds")

    async def check(self, model_hash: str) -> None:
        self._called("check")

    async def renew(self, release: Release) -> tuple[str, tuple[str, ...]]:
        self._called("renew")
        return release.model_hash, ()

    async def hash_inputs(self, model: Mapping[str, Any]) -> str:
        return self.inputs

    async def protect(self, release: Release, journal_id: str = "") -> None:
        self.protected.add(release.number)
        self.journal_id = journal_id

    async def journals(self) -> frozenset[str]:
        return frozenset(filter(None, [self.journal_id]))

    async def held(self, services: Collection[str] | None = None) -> frozenset[int]:
        self._called("held")
        return frozenset(self.protected)

    async def last_writer(self) -> str:
        return self.writer

    async def unprotect(self, release: Release, *, needed: frozenset[str] = frozenset()) -> None:
        self._called("unprotect", release.label)
        if self.hold_unprotect is not None:
            await self.hold_unprotect.wait()
        self.protected.discard(release.number)

    async def clear_unused(self, needed: frozenset[str]) -> None:
        self._called("clear_unused")

    async def missing_external(self, _model: Mapping[str, Any]) -> tuple[Obstacle, ...]:
        return self.lacking

    async def own_services(self) -> frozenset[str]:
        return self.own

    async def missing_images(self, release: Release) -> tuple[str, ...]:
        return self.gone

    async def create_missing(
        self, model_hash: str, chosen: frozenset[str] | None = None, **_named: Any
    ) -> tuple[ContainerSnapshot, ...]:
        self._called("create_missing")
        there = {service.service for service in self.running.values()}
        images = {name: model["image"] for name, model in self.models[model_hash]["services"].items()}
        return tuple(
            self._created(name, image)
            for name, image in images.items()
            if name not in there and (chosen is None or name in chosen)
        )

    def _created(self, service: str, image: str, name: str = "") -> ContainerSnapshot:
        container_id = self._new_id()
        self.running[container_id] = ContainerSnapshot(
            container_id,
            name or service,
            service,
            ContainerState.CREATED,
            HealthStatus.NONE,
            image,
            image,
            image,
            restart_policy="unless-stopped",
            created_at=datetime.now(UTC),
            of_release=True,
        )
        return self.running[container_id]

    def _new_id(self) -> str:
        return f"c{next(self.ids)}"

    async def wanted_services(
        self,
        model: Mapping[str, Any],
        containers: tuple[ContainerSnapshot, ...] | None = None,
        *,
        as_it_is: bool = False,
    ) -> Mapping[str, WantedService]:
        definitions = self.definitions(model)
        return {name: WantedService(definitions[name], item["image"]) for name, item in model["services"].items()}

    async def now(self) -> datetime:
        return datetime.now(UTC)

    async def expected_repairs(self, *, spared: frozenset[str] = frozenset()) -> SweptContainers:
        return SweptContainers(await self.containers())

    async def create_service(
        self,
        model_hash: str,
        service: str,
        *,
        beside: bool = False,
        recreate: bool = False,
        **_asked: Any,
    ) -> tuple[str, ...]:
        self._called("create", service)
        image = self.models[model_hash]["services"][service]["image"]
        own = [c for c in self.running.values() if c.service == service]
        if not recreate and any(c.config_hash == image and c.state in AT_WORK for c in own):
            return ()
        if own and not recreate and all(c.config_hash == image and c.never_ran for c in own):
            return tuple(c.id for c in own)
        if not beside:
            for container in own:
                del self.running[container.id]
        return (self._created(service, image).id,)

    async def start(self, container_id: str) -> None:
        container = self.running[container_id]
        self._called("start", container.service)
        version = container.image_reference.partition(":")[2]
        self.become(container.service, *self.behaviour.get((version, container.service), HEALTHY))

    def become(self, service: str, state: ContainerState, health: HealthStatus) -> None:
        """Change how a service's containers are, and let the event stream say so."""
        for container_id, container in list(self.running.items()):
            if container.service == service:
                self.running[container_id] = replace(container, state=state, health=health)
        self.tell(service)

    def tell(self, service: str) -> None:
        """Let the event stream say that a service's containers have changed."""
        for stream in self.streams:
            stream.put_nowait(ContainerEvent("change", "", service, "", {}))

    async def stop(self, container_id: str) -> None:
        container = self.running[container_id]
        self._called("stop", container.service)
        self.running[container_id] = replace(container, state=ContainerState.EXITED, exit_code=0)

    async def remove(self, container_id: str, *, grace_seconds: float | None = None) -> None:
        container = self.running.pop(container_id, None)
        self._called("remove", container.service if container else "")

    async def remove_service(self, service: str, container_ids: Iterable[str]) -> None:
        await run_concurrently(self.remove(container_id) for container_id in container_ids)

    async def containers(self) -> tuple[ContainerSnapshot, ...]:
        self._called("containers")
        return tuple(self.running.values())

    @asynccontextmanager
    async def events(self, *, since_ns: int | None = None) -> AsyncIterator[AsyncIterator[ContainerEvent]]:
        queue: asyncio.Queue[ContainerEvent | None] = asyncio.Queue()
        self.streams.append(queue)

        async def iterate() -> AsyncIterator[ContainerEvent]:
            while (event := await queue.get()) is not None:
                yield event

        try:
            yield iterate()
        finally:
            self.streams.remove(queue)

    async def failure_output(self, container_id: str, *, lines: int = 30) -> str:
        return "its last output"

    async def sweep(self, service: str | None = None, *, spared: frozenset[str] = frozenset()) -> tuple[str, ...]:
        self._called("sweep")
        return ()

    async def bot_places(self, container_ids: Iterable[str]) -> Mapping[str, BotPlace]:
        """Let every bot keep its state where the tests do."""
        place = BotPlace(str(self.environment.folder / "state"), (Mount("/", "/", writable=True),))
        return {container_id: place for container_id in container_ids if container_id in self.running}

    async def end_process(self, mark: ProcessMark) -> bool:
        self._called("end_process", str(mark.pid))
        return True
