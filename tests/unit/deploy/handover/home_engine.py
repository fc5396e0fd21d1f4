"""The engine of dictionaries, with a bot in every container of the bot's service, and restart policies that work.

An act takes a moment of the time of `virtual_time.py`, and takes place between two points at which a fault can strike
(`point`). Compose replaces a container in steps, as the real one does: who dies in between leaves one under a wrong
name.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from roas.errors import EngineError
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.leader_lease import ProcessMark
from roas.models.release import ImagePin, ReleaseService
from roas.stack.containers.repair import ContainerRepair, needs_repair, plan_repairs
from roas.stack.interface import PinnedStack
from tests.unit.deploy.fake_engine import HEALTHY, FakeEngine

BOT = "discord-bot"
ACT_SECONDS = 0.1
LOOK_SECONDS = 0.01
READY_SECONDS = 0.4
FIRST_BACKOFF_SECONDS = 0.1
LONGEST_BACKOFF_SECONDS = 20.0
AT_WORK = frozenset({ContainerState.RUNNING, ContainerState.RESTARTING})


class Tenants(Protocol):
    """Live in containers."""

    def move_in(self, container: ContainerSnapshot) -> None:
        """Begin to run in a container that was started."""
        ...

    def move_out(self, container_id: str) -> None:
        """Be dead, at once."""
        ...

    def end_process(self, mark: ProcessMark) -> bool:
        """Be killed by a neighbour; tells whether it could reach so far."""
        ...


async def nothing_strikes(act: str, service: str, *, after: bool) -> None:
    """Be what happens at a point where nothing does."""


@dataclass
class HomeEngine(FakeEngine):
    """Keep containers as Docker and Compose do; `tenants` run in those of the bot's service."""

    tenants: Tenants | None = None
    point: Callable[..., Awaitable[None]] = nothing_strikes

    # What is

    def of_service(self, service: str) -> list[ContainerSnapshot]:
        return [one for one in self.running.values() if one.service == service]

    async def containers(self) -> tuple[ContainerSnapshot, ...]:
        await asyncio.sleep(LOOK_SECONDS)
        return await super().containers()

    # What Compose does

    async def create_service(
        self,
        model_hash: str,
        service: str,
        *,
        beside: bool = False,
        recreate: bool = False,
        spared: frozenset[str] = frozenset(),
        **_asked: Any,
    ) -> tuple[str, ...]:
        image = self.models[model_hash]["services"][service]["image"]
        async with self._act("create", service):
            ours = [item for item in self.of_service(service) if item.id not in spared]
            if needs_repair(ours):
                self._apply(plan_repairs(ours, never_started=False))
            if not beside:
                for surplus in sorted(self.of_service(service), key=lambda one: _usefulness(one, image))[:-1]:
                    self._discard(surplus.id)
            fitting = [item for item in self.of_service(service) if item.config_hash == image and item.id not in spared]
            others = [item for item in self.of_service(service) if item.config_hash != image]
            if not fitting and (beside or not others):
                self._add(service, self._free_name(service), image)
        if (others and not beside) or recreate:
            await self._recreate((others or fitting)[0].id, image)
        fitting = [item for item in self.of_service(service) if item.config_hash == image and item.id not in spared]
        if not fitting:
            raise EngineError(f"Compose created no container of {service}.", hint="Run `/deploy` again.")
        return tuple(item.id for item in fitting if item.state not in AT_WORK)

    async def create_missing(
        self, model_hash: str, chosen: frozenset[str] | None = None, **_named: Any
    ) -> tuple[ContainerSnapshot, ...]:
        made = []
        for name, fields in self.models[model_hash]["services"].items():
            if not self.of_service(name) and (chosen is None or name in chosen):
                async with self._act("create", name):
                    made.append(self._add(name, self._free_name(name), fields["image"]))
        return tuple(self.running[item] for item in made if item in self.running)

    async def _recreate(self, old_id: str, image: str) -> None:
        """Make the new one under a wrong name, let the old one go, and give the new one its name."""
        old = self.running[old_id]
        async with self._act("recreate", old.service):
            new_id = self._add(old.service, f"{old.id}_{old.name}", image)
        async with self._act("stop", old.service):
            self._end(old_id)
        async with self._act("remove", old.service):
            self._discard(old_id)
        if new_id in self.running:
            self.running[new_id] = replace(self.running[new_id], name=old.name)

    async def sweep(self, service: str | None = None, *, spared: frozenset[str] = frozenset()) -> tuple[str, ...]:
        self._called("sweep")
        await asyncio.sleep(LOOK_SECONDS)
        there = [item for item in self.running.values() if item.id not in spared]
        return self._apply(plan_repairs([one for one in there if service in {None, one.service}]))

    def _apply(self, repairs: Iterable[ContainerRepair]) -> tuple[str, ...]:
        done = list(repairs)
        for repair in done:
            if repair.new_name:
                self.running[repair.container.id] = replace(self.running[repair.container.id], name=repair.new_name)
            else:
                self._discard(repair.container.id)
        return tuple(repair.description for repair in done)

    # What Docker does

    async def start(self, container_id: str) -> None:
        container = self.running.get(container_id)
        if container is None:
            raise EngineError(f"The container {container_id} was removed before it was started.")
        async with self._act("start", container.service):
            container = self.running.get(container_id)
            if container is None:
                raise EngineError(f"The container {container_id} was removed before it was started.")
            if container.state not in AT_WORK:
                self.let_run(container_id)

    async def stop(self, container_id: str) -> None:
        if container_id in self.running:
            async with self._act("stop", self.running[container_id].service):
                self._end(container_id)

    async def remove(self, container_id: str, *, grace_seconds: float | None = None) -> None:
        if container_id in self.running:
            async with self._act("remove", self.running[container_id].service):
                self._discard(container_id)

    async def end_process(self, mark: ProcessMark) -> bool:
        return self.tenants is not None and self.tenants.end_process(mark)

    @asynccontextmanager
    async def _act(self, name: str, service: str) -> AsyncIterator[None]:
        await asyncio.sleep(ACT_SECONDS)
        await self.point(name, service, after=False)
        self._called(name, service)
        yield
        await self.point(name, service, after=True)

    # What containers do

    def let_run(self, container_id: str, *, restarts: int = 0) -> None:
        """Run a container's process; it is ready, or not, a little later."""
        container = replace(
            self.running[container_id],
            state=ContainerState.RUNNING,
            health=HealthStatus.STARTING,
            exit_code=None,
            restart_count=restarts,
            started_at=datetime.now(UTC),
        )
        self._put(container)
        if container.service == BOT and self.tenants is not None:
            self.tenants.move_in(container)
        else:
            _later(READY_SECONDS, lambda: self._turn_out(container))

    def _turn_out(self, container: ContainerSnapshot) -> None:
        if self.running.get(container.id) == container:
            version = container.image_reference.partition(":")[2]
            state, health = self.behaviour.get((version, container.service), HEALTHY)
            self._put(replace(container, state=state, health=health))

    def is_seen(self, container_id: str, health: HealthStatus) -> None:
        """Say what a container's health check says."""
        container = self.running.get(container_id)
        if container is not None and container.state is ContainerState.RUNNING:
            self._put(replace(container, health=health))

    def process_ended(self, container_id: str, code: int) -> None:
        """Bring a container back whose process ended though nobody asked for it, a little later each time."""
        container = self.running[container_id]
        restarting = replace(container, state=ContainerState.RESTARTING, health=HealthStatus.UNHEALTHY, exit_code=code)
        self._put(restarting)
        backoff = min(FIRST_BACKOFF_SECONDS * 2**container.restart_count, LONGEST_BACKOFF_SECONDS)

        def again() -> None:
            if self.running.get(container_id) == restarting:
                self.let_run(container_id, restarts=container.restart_count + 1)

        _later(backoff, again)

    def _end(self, container_id: str) -> None:
        """A deliberate stop defeats the restart policy."""
        container = self.running.get(container_id)
        if container is not None and container.state in AT_WORK:
            if self.tenants is not None:
                self.tenants.move_out(container_id)
            self._put(replace(container, state=ContainerState.EXITED, health=HealthStatus.UNHEALTHY, exit_code=0))

    def _discard(self, container_id: str) -> None:
        container = self.running.get(container_id)
        if container is not None:
            self._end(container_id)
            del self.running[container_id]
            self.tell(container.service)

    def _add(self, service: str, name: str, image: str) -> str:
        container = self._created(service, image, name)
        self.tell(service)
        return container.id

    def _new_id(self) -> str:
        return f"{next(self.ids):012x}"

    def _free_name(self, service: str) -> str:
        taken = {item.name for item in self.running.values()}
        return next(name for number in range(1, 100) if (name := f"shop-{service}-{number}") not in taken)

    def _put(self, container: ContainerSnapshot) -> None:
        self.running[container.id] = container
        self.tell(container.service)

    # What was there before the bot knew of it

    def stand_on(self, version: str) -> None:
        """Run every service as it was brought up by hand, ready to be adopted."""
        images = {name: f"{name}:{version}" for name in self.stack}
        model_hash = "|".join(images.values())
        self.models[model_hash] = {"services": {name: {"image": image} for name, image in images.items()}}
        services = tuple(ReleaseService(name, ImagePin(image, image, image), "d") for name, image in images.items())
        self.adoptable = PinnedStack(version, services, model_hash)
        for name, image in images.items():
            self.let_run(self._add(name, self._free_name(name), image))


def _usefulness(container: ContainerSnapshot, image: str) -> tuple[bool, bool, bool]:
    return (
        container.config_hash == image,
        container.health is HealthStatus.HEALTHY,
        container.state is ContainerState.RUNNING,
    )


def _later(seconds: float, work: Callable[[], None]) -> None:
    """Do something that is nobody's: it happens though whoever caused it is dead."""
    asyncio.get_running_loop().call_later(seconds, work, context=Context())
