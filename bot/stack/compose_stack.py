"""Run a stack on one machine, with Compose and the Docker Engine."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Unpack

from roas.concurrency import run_concurrently
from roas.models.health import ContainerSnapshot
from roas.stack.adopting.container_differences import find_container_differences
from roas.stack.containers.compose_creation import ComposeCreation
from roas.stack.containers.docker_events import EventSubscription
from roas.stack.containers.logs import read_failure_output, read_log
from roas.stack.containers.own_container import own_container_id
from roas.stack.containers.pinned_services import PinnedServices
from roas.stack.containers.removal import (
    change_restart_policy,
    pause_container,
    remove_container,
    start_container,
    stop_container,
)
from roas.stack.containers.repair import ContainerRepair, after_repairs, needs_repair, plan_repairs, repair_containers
from roas.stack.containers.service_creation import ServiceCreator
from roas.stack.containers.snapshots import take_named_outlines, take_outlines, take_snapshots, take_snapshots_of
from roas.stack.docker.engine import Engine
from roas.stack.image_supply import StackImages
from roas.stack.interface import ContainerEvent, Creation, SweptContainers
from roas.stack.model.services import with_needs
from roas.stack.releases.parts import StackParts
from roas.stack.releases.stack_releases import StackReleases
from roas.stack.service_comparison import ContainerDifference, WantedService, by_service, compare_service
from roas.stack.stack import Stack


class ComposeStack(Stack):
    """Run a stack on one machine: Compose creates its containers, and the engine starts them."""

    def __init__(self, engine: Engine, parts: StackParts) -> None:
        super().__init__(engine, parts, StackReleases(engine, parts), StackImages(engine, parts))
        self._pinned = PinnedServices(engine, parts.runner, parts.models, parts.live_files)
        self._creation = ComposeCreation(engine, parts.runner, parts.models, self._pinned)
        self._creator = ServiceCreator(self._creation)
        self._just_made: dict[tuple[str, str], frozenset[str]] = {}  # those of a service, made together with others

    async def containers(self) -> tuple[ContainerSnapshot, ...]:
        """Return every container of the environment's project, running or not."""
        return await take_snapshots(self.engine)

    async def listed(self) -> tuple[ContainerSnapshot, ...]:
        """Return every container as the engine lists it: one question, however many."""
        return await take_outlines(self.engine)

    async def containers_by_id(self, container_ids: frozenset[str]) -> tuple[ContainerSnapshot, ...]:
        """Return those of some containers of the environment's project that are there, running or not."""
        return await take_snapshots_of(self.engine, container_ids)

    def events(self, *, since_ns: int | None = None) -> AbstractAsyncContextManager[AsyncIterator[ContainerEvent]]:
        """Subscribe to the project's container events; what is remembered `since_ns` comes first."""
        return EventSubscription(self.engine, since_ns=since_ns)

    async def wanted_services(
        self,
        model: Mapping[str, Any],
        containers: tuple[ContainerSnapshot, ...] | None = None,
        *,
        as_it_is: bool = False,
    ) -> Mapping[str, WantedService]:
        """Return what a pinned model wants of each service, where these containers (by default, what there is) are."""
        return await self._pinned.wanted(model, containers, as_it_is=as_it_is)

    async def differences(self, model: Mapping[str, Any]) -> Mapping[str, ContainerDifference]:
        """Return, by id, the containers of which a key differs from a pinned model, whoever did that."""
        return await find_container_differences(self.engine, model)

    async def failure_output(self, container_id: str, *, lines: int = 30) -> str:
        """Return a container's last log lines and its last health-check output, redacted."""
        return await read_failure_output(self.engine, self._parts.redactor, container_id, lines)

    async def read_log(self, container_id: str, *, lines: int, since: datetime | None = None) -> str:
        """Return the last lines of a container's log with their times, redacted."""
        return await read_log(self.engine, self._parts.redactor, container_id, lines=lines, since=since)

    async def expected_repairs(self, *, spared: frozenset[str] = frozenset()) -> SweptContainers:
        """Return every container as `sweep` would leave it, and those that it would remove."""
        there = await take_named_outlines(self.engine)
        own = await self.engine.local(own_container_id)
        repairs = plan_repairs([container for container in there if container.id not in spared], own=own)
        left = after_repairs(there, repairs)
        kept = {container.id for container in left}
        return SweptContainers(left, tuple(container for container in there if container.id not in kept))

    async def create_service(self, model_hash: str, service: str, **how: Unpack[Creation]) -> tuple[str, ...]:
        """Create a service's containers as the model says and return the ids that are to be started."""
        await self.releases.check(model_hash)
        together = self._just_made.pop((model_hash, service), None)
        seen = how.get("seen")
        if (
            together
            and not how.get("recreate")
            and seen is not None
            and together == {container.id for container in seen}
        ):
            return tuple(container.id for container in seen if container.never_ran)
        return await self._creator.create(model_hash, service, **how)

    async def create_missing(
        self, model_hash: str, chosen: frozenset[str] | None = None
    ) -> tuple[ContainerSnapshot, ...]:
        """Create the containers of the chosen services that have none yet, and the networks.

        Those that are as wanted are only started after that. What shares with another, or links to it, may have to be
        made again by then.
        """
        await self.releases.check(model_hash)
        created = await self._creation.create_missing(model_hash, chosen)
        model = await self.load_model(model_hash)
        wanted = await self.wanted_services(model, created, as_it_is=True)
        self._just_made = {
            (model_hash, name): frozenset(container.id for container in containers)
            for name, containers in by_service(created).items()
            if name in wanted and len(with_needs(model, [name])) == 1 and _is_new(wanted[name], containers)
        }
        return created

    async def start(self, container_id: str) -> None:
        """Start a created or stopped container."""
        await start_container(self.engine, container_id)

    async def stop(self, container_id: str) -> None:
        """Stop a container within its grace period; a stopped or missing one is no error."""
        await stop_container(self.engine, container_id)

    async def pause(self, container_id: str) -> None:
        """Let the processes of a container stand still."""
        await pause_container(self.engine, container_id)

    async def keep_stopped(self, container_id: str) -> None:
        """Let no start of the engine start a container that is about to be stopped."""
        await change_restart_policy(self.engine, container_id, "always", "unless-stopped")

    async def restart_always(self, container_id: str) -> None:
        """Give the policy back that `keep_stopped` took."""
        await change_restart_policy(self.engine, container_id, "unless-stopped", "always")

    async def remove(self, container_id: str, *, grace_seconds: float | None = None) -> None:
        """Stop and remove a container by id."""
        await remove_container(self.engine, container_id, grace_seconds)

    async def remove_service(self, service: str, container_ids: Iterable[str]) -> None:
        """Stop and remove these containers, which are all of a service."""
        await run_concurrently(self.remove(container_id) for container_id in container_ids)

    async def sweep(self, service: str | None = None, *, spared: frozenset[str] = frozenset()) -> tuple[str, ...]:
        """Repair what a killed Compose left, of one service or all; returns a description of each repair."""
        own = await self.engine.local(own_container_id)

        def repairs(there: Iterable[ContainerSnapshot]) -> list[ContainerRepair]:
            found = [
                container for container in there if container.id not in spared and service in {None, container.service}
            ]
            return list(plan_repairs(found, own=own))

        if not repairs(await take_outlines(self.engine)):  # as nearly always
            return ()
        return await repair_containers(self.engine, repairs(await self.containers()))


def _is_new(wanted: WantedService, containers: Collection[ContainerSnapshot]) -> bool:
    """Return whether a service consists of containers that are as it is wanted, and were never started."""
    difference = compare_service(wanted, containers)
    is_as_wanted = not (difference.unlike or difference.surplus or difference.missing)
    return is_as_wanted and not needs_repair(containers) and all(container.never_ran for container in containers)
