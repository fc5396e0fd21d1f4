"""Create the containers of one service, in place of the old ones or beside them."""

import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Unpack

from roas.concurrency import pause
from roas.errors import (
    ContainerConflictError,
    EngineError,
    OwnContainerError,
)
from roas.log import get_logger
from roas.messages.message import said
from roas.models.health import ContainerSnapshot, ContainerState
from roas.models.stack import ServiceDefinition
from roas.stack.containers.compose_creation import ComposeCreation
from roas.stack.containers.networks import missing_networks
from roas.stack.containers.own_container import own_container_id
from roas.stack.containers.pinned_services import PinnedService
from roas.stack.containers.removal import remove_container, unpause
from roas.stack.containers.repair import is_of_others, needs_repair, plan_repairs, repair_containers
from roas.stack.containers.snapshots import engine_time, take_snapshots
from roas.stack.interface import Creation
from roas.stack.model.services import stop_grace_seconds
from roas.stack.service_comparison import WantedService, rank

log = get_logger(__name__)

# What somebody's Compose has created it starts in a moment, unless it waits for something, or has died.
OTHERS_SECONDS = 15.0
OTHERS_LOOK_SECONDS = 0.2


class ServiceCreator:
    """Create containers as a pinned model defines them; nothing is started here."""

    def __init__(self, creation: ComposeCreation) -> None:
        self._creation = creation
        self._engine = creation.engine
        self._pinned = creation.pinned

    async def create(self, model_hash: str, service: str, **how: Unpack[Creation]) -> tuple[str, ...]:
        """Create what a service lacks and return the ids that are to be started."""
        beside, recreate = how.get("beside", False), how.get("recreate", False)
        spared, seen = how.get("spared", frozenset()), how.get("seen")
        pinned = await self._pinned.pinned(model_hash, service, recreate=recreate)
        wanted = pinned.wanted
        if seen and not recreate and not needs_repair(seen) and _is_complete(wanted, [*seen], spared, beside=beside):
            return await self._with_networks(model_hash, pinned, _to_be_started(wanted, seen, spared), seen)
        before = existing = await self._started_by_others(service)
        ours = [container for container in existing if container.id not in spared]
        if needs_repair(ours):
            own = await self._engine.local(own_container_id)
            await repair_containers(self._engine, plan_repairs(ours, never_started=False, own=own))
            existing = await self._existing(service)
        if not beside:
            existing = await self._remove_extra(wanted, existing, recreate=recreate)
        if recreate or not _is_complete(wanted, existing, spared, beside=beside):
            stay = (container for container in existing if beside or (wanted.fits(container) and not recreate))
            await unpause(self._engine, [container for container in stay if container.id not in spared])
            await self._compose_create(model_hash, pinned, existing, how)
            existing = await self._existing(service)
        if not _fitting(wanted, existing, spared) and wanted.definition.replicas:
            raise ContainerConflictError(  # somebody else has just replaced it: the next try finds what is left
                said("Compose created no container of {service}.", service=service),
                service=service,
            )
        idle = _to_be_started(wanted, existing, spared)
        return await self._with_networks(model_hash, pinned, idle, before)

    async def _with_networks(
        self,
        model_hash: str,
        pinned: PinnedService,
        idle: tuple[str, ...],
        before: Sequence[ContainerSnapshot],
    ) -> tuple[str, ...]:
        """Return what is to be started, with the networks of what had stopped: a prune takes those, too."""
        name = pinned.wanted.definition.name
        if {container.id for container in before} & {*idle}:
            model = await self._pinned.model_to_apply(model_hash)
            if await missing_networks(self._engine, model) & set(pinned.fields.get("networks") or ()):
                await self._creation.create(
                    model_hash,
                    {name: pinned.wanted.config_hash},
                    keep_existing=True,
                    scale={name: len(await self._existing(name))},
                )
        return idle

    async def _refuse_to_replace_own(self, wanted: WantedService, existing: list[ContainerSnapshot]) -> None:
        """Raise OwnContainerError where Compose would replace the container that this process runs in."""
        own_id = await self._engine.local(own_container_id)
        own = next((container for container in existing if container.id == own_id), None)
        if own is not None:
            name = wanted.definition.name
            raise OwnContainerError(
                said(
                    "To make {name}, Compose would replace {own}, the container that this bot itself runs in.",
                    name=name,
                    own=own.name,
                ),
                hint=said(
                    "Deploy the whole stack: the bot's own service, {service}, then gets a successor first.",
                    service=own.service,
                ),
                service=name,
            )

    async def _existing(self, service: str) -> list[ContainerSnapshot]:
        return list(await take_snapshots(self._engine, service))

    async def _started_by_others(self, service: str) -> list[ContainerSnapshot]:
        """Return a service's containers once what somebody else creates is started: who takes it away breaks that."""
        deadline = time.monotonic() + OTHERS_SECONDS
        existing = await self._existing(service)
        while (
            unstarted := [container for container in existing if is_of_others(container)]
        ) and time.monotonic() < deadline:
            latest = max(container.created_at for container in unstarted if container.created_at)
            if await engine_time(self._engine) - latest > timedelta(seconds=OTHERS_SECONDS):
                break
            await pause(OTHERS_LOOK_SECONDS)
            existing = await self._existing(service)
        return existing

    async def _remove_extra(
        self, wanted: WantedService, existing: list[ContainerSnapshot], *, recreate: bool
    ) -> list[ContainerSnapshot]:
        """Remove by id what is too many, the least useful first: left to Compose, it may remove the healthy one.

        So goes what has the number of another and would be replaced: Compose names a successor by that number.
        """
        ranked = rank(wanted.fits, existing)
        kept = ranked[: max(wanted.definition.replicas, 0)]
        first = {snapshot.number: snapshot for snapshot in reversed(kept)}
        kept = [
            snapshot
            for snapshot in kept
            if first[snapshot.number] is snapshot or (wanted.fits(snapshot) and not recreate)
        ]
        for container in ranked:
            if container not in kept:
                await remove_container(self._engine, container.id, None)
        return kept

    async def _compose_create(
        self,
        model_hash: str,
        pinned: PinnedService,
        existing: list[ContainerSnapshot],
        how: Creation,
    ) -> None:
        wanted, name = pinned.wanted, pinned.wanted.definition.name
        beside, recreate, at_most = how.get("beside", False), how.get("recreate", False), how.get("at_most")
        missing = wanted.definition.replicas - _fitting(wanted, existing, how.get("spared", frozenset()))
        missing = missing if at_most is None else min(missing, at_most)
        scale = {name: len(existing) + missing} if beside else {}
        # Compose 2.40 also replaces what hands took out of a network. What fits stays, as the plan says.
        keep = beside or (not recreate and all(map(wanted.fits, existing)))
        if not keep:
            await self._refuse_to_replace_own(wanted, existing)
        # Compose stops what it replaces, one after the other at worst.
        grace = stop_grace_seconds(pinned.fields) * max(1, len(existing))
        await self._creation.create(
            model_hash,
            {name: wanted.config_hash},
            keep_existing=keep,
            recreate=recreate,
            scale=scale,
            more_seconds=grace,
        )
        await self._refuse_other_image(wanted)

    async def _refuse_other_image(self, wanted: WantedService) -> None:
        """Remove what was created from another image than the release's: somebody moved its name meanwhile."""
        name = wanted.definition.name
        other = [
            snapshot
            for snapshot in await self._existing(name)
            if snapshot.config_hash == wanted.config_hash
            and not wanted.fits(snapshot)
            and snapshot.state is ContainerState.CREATED
        ]
        for container in other:
            await remove_container(self._engine, container.id, None)
        if other:
            raise EngineError(
                said("{name} was created from another image than the release has, and was not started.", name=name),
                hint=said("The tag of that image was moved at the same moment: deploy again."),
                service=name,
            )


def _fitting(wanted: WantedService, existing: list[ContainerSnapshot], spared: frozenset[str]) -> int:
    return sum(wanted.fits(container) and container.id not in spared for container in existing)


def _is_complete(
    wanted: WantedService, existing: list[ContainerSnapshot], spared: frozenset[str], *, beside: bool
) -> bool:
    fitting = _fitting(wanted, existing, spared)
    return fitting >= wanted.definition.replicas and (beside or fitting == len(existing))


def _to_be_started(
    wanted: WantedService, existing: Iterable[ContainerSnapshot], spared: frozenset[str]
) -> tuple[str, ...]:
    fitting = [container for container in existing if wanted.fits(container) and container.id not in spared]
    return tuple(container.id for container in fitting if _is_to_be_started(wanted.definition, container))


def _is_to_be_started(definition: ServiceDefinition, container: ContainerSnapshot) -> bool:
    """A one-shot service that has done its work is not run again."""
    if definition.one_shot and container.state is ContainerState.EXITED and container.exit_code == 0:
        return False
    return container.state not in {ContainerState.RUNNING, ContainerState.RESTARTING}
