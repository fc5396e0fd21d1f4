"""Create the containers of services that have none in as few calls of Compose as can be."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from roas.concurrency import begun
from roas.errors import EngineUnavailableError, RoasError
from roas.log import get_logger
from roas.models.health import ContainerSnapshot
from roas.stack.comparison import WantedService, compare_service
from roas.stack.containers.compose_creation import ComposeCreation
from roas.stack.containers.networks import missing_networks
from roas.stack.containers.removal import unpause
from roas.stack.containers.repair import needs_repair
from roas.stack.containers.snapshots import take_outlines
from roas.stack.model.services import replicas_of, services_of, with_needs

log = get_logger(__name__)

# What each of many containers that are made in one call may take beside what one may.
CREATE_SECONDS_EACH = 1.0


class JointCreator:
    """Create what a pinned model has and the engine lacks; nothing is started here."""

    def __init__(self, creation: ComposeCreation) -> None:
        self._creation = creation
        self._engine = creation.engine

    async def create_missing(self, model_hash: str, chosen: frozenset[str] | None) -> tuple[ContainerSnapshot, ...]:
        """Create the containers of services that have none, and the networks that the model has and the engine lacks.

        What exists keeps its containers, as many as there are; so does what is not among the `chosen`. Returns what
        was created. Of many that are created in one call, the engine may refuse one: each is left to a call of its own.
        """
        model = await self._creation.pinned.model_to_apply(model_hash)
        lacking = await self._lacking(model, chosen)
        taken = lacking.taken
        for names in lacking.calls:
            await unpause(self._engine, [container for container in taken if container.service in names])
            wanted = await self._creation.pinned.wanted(model, as_it_is=True)
            try:
                await self._creation.create(
                    model_hash,
                    {name: wanted[name].config_hash for name in names},
                    keep_existing=True,
                    scale=lacking.scale(names),
                    more_seconds=CREATE_SECONDS_EACH * len(names),
                )
            except EngineUnavailableError:
                raise
            except RoasError as error:
                if len(names) == 1:
                    raise
                log.warning("not created together", environment=self._engine.environment.name, error=error.message)
        before = {container.id for container in taken}
        return tuple(container for container in await take_outlines(self._engine) if container.id not in before)

    async def _lacking(self, model: Mapping[str, Any], chosen: frozenset[str] | None) -> "_Lacking":
        async with begun(missing_networks(self._engine, model)) as looking:
            taken = await take_outlines(self._engine)
            networks = await looking
        present = Counter(container.service for container in taken)
        known = services_of(model)
        services = [
            name
            for name, fields in known.items()
            if (chosen is None or name in chosen)
            and ((replicas_of(fields) and not present[name]) or networks & set(fields.get("networks") or ()))
        ]
        missing = {name for name in with_needs(model, services) if not present[name] and replicas_of(known[name])}
        return _Lacking(taken, present, known, _one_after_the_other(model, {*services, *missing}))


@dataclass(frozen=True, slots=True)
class _Lacking:
    """Hold what there is of a project, and the services that are made by each call of Compose."""

    taken: tuple[ContainerSnapshot, ...]
    present: Mapping[str, int]
    known: Mapping[str, Mapping[str, Any]]
    calls: list[list[str]]

    def scale(self, names: Sequence[str]) -> dict[str, int]:
        """Return of how many containers the services consist that have some."""
        return {name: self.present[name] for name in names if self.present[name]}


def _one_after_the_other(model: Mapping[str, Any], services: Collection[str]) -> list[list[str]]:
    """Return what is made in one call: all that share with nothing, then each other one after what it shares with.

    Compose 2.26 hashes what it makes in one call with what they need of each other.
    """
    needs = {name: with_needs(model, [name]) for name in services}
    alone = sorted(name for name in services if len(needs[name]) == 1)
    others = sorted(needs.keys() - set(alone), key=lambda name: (len(needs[name]), name))
    return [*([alone] if alone else []), *([name] for name in others)]


@dataclass(frozen=True, slots=True)
class CreatedService:
    """Hold what is wanted of a service, and its containers, which were just created so and are to be started."""

    wanted: WantedService
    containers: tuple[str, ...]


def created_service(
    wanted: WantedService, containers: Collection[ContainerSnapshot], new: Collection[str]
) -> CreatedService | None:
    """Return a service of which all containers are `new`, by id, and as they are wanted; else None."""
    difference = compare_service(wanted, containers)
    if difference.unlike or difference.surplus or difference.missing or not containers:
        return None
    if needs_repair(containers) or not all(container.never_ran and container.id in new for container in containers):
        return None
    return CreatedService(wanted, tuple(container.id for container in containers))
