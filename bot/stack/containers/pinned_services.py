"""Say what the services of a pinned model are to be: their definitions, images, and configuration hashes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from roas.errors import InvalidRequestError, second_copy
from roas.messages.message import said
from roas.models.health import ContainerSnapshot
from roas.models.stack import ServiceDefinition
from roas.stack.compose.runner import ComposeRunner
from roas.stack.containers.config_hashes import ConfigHashes
from roas.stack.containers.snapshots import take_snapshots
from roas.stack.docker.engine import Engine
from roas.stack.model.definitions import read_definitions
from roas.stack.model.live_files import LiveFiles
from roas.stack.model.per_model import PerModel
from roas.stack.model.services import pinned_image_id, services_of
from roas.stack.model.store import ModelStore
from roas.stack.service_comparison import WantedService


@dataclass(frozen=True, slots=True)
class PinnedService:
    """Hold one service of a pinned model."""

    wanted: WantedService
    fields: Mapping[str, Any]


class PinnedServices:
    """Read pinned models for who compares with them, and for who makes containers of them."""

    def __init__(self, engine: Engine, runner: ComposeRunner, models: ModelStore, live: LiveFiles) -> None:
        self._engine = engine
        self._models = models
        self.live = live
        self._hashes = ConfigHashes(engine, runner)
        self._pins = PerModel(_pins)

    async def wanted(
        self,
        model: Mapping[str, Any],
        containers: tuple[ContainerSnapshot, ...] | None = None,
        *,
        as_it_is: bool = False,
    ) -> dict[str, WantedService]:
        """Return what a pinned model wants of each service, where `containers` (by default, what there is) are.

        Where nothing is there to be compared by its hash, as for the plan of a new stack, nobody asks for the hashes:
        they are empty, which fits no container. `as_it_is` is of who makes containers, and needs them.
        """
        pins = self._pins(model)
        hashes: Mapping[str, str] = dict.fromkeys(pins, "")
        joins: Mapping[str, str] = {}
        if containers is None:
            containers = await take_snapshots(self._engine)
        if containers or as_it_is:
            hashes = await self._hashes.of(model, containers, as_it_is=as_it_is)
            joins = self._hashes.joined(model, hashes, containers, as_it_is=as_it_is)
        services = services_of(model)
        unread = await self._engine.local(lambda: {name for name in pins if self.live.is_unread(services[name])})
        return {
            name: WantedService(definition, hashes[name], image_id, unread=name in unread, joins=joins.get(name, ""))
            for name, (definition, image_id) in pins.items()
        }

    async def model_to_apply(self, model_hash: str) -> Mapping[str, Any]:
        """Return a model whose containers are to be made.

        Raises SecondCopyError for one of another project: a recovery, say, that finds nothing under a new name.
        """
        environment = self._engine.environment
        model = await self._engine.local(lambda: self._models.load(model_hash))
        project = str(model.get("name") or environment.project)
        if project != environment.project:
            raise second_copy(environment.name, project, environment.project)
        return model

    async def pinned(self, model_hash: str, service: str, *, recreate: bool = False) -> PinnedService:
        """Return one service of a model whose containers are to be made. Raises InvalidRequestError.

        What its containers are hashed with, made by whom they were, counts for nothing where they are made `recreate`.
        """
        model = await self.model_to_apply(model_hash)
        fields = services_of(model).get(service)
        if fields is None:
            raise InvalidRequestError(said("The stack has no service {name}.", name=service))
        # What it shares with may be other than the model says, and is not this call's affair: Compose joins that.
        there = await take_snapshots(self._engine)
        counting = tuple(container for container in there if not (recreate and container.service == service))
        return PinnedService((await self.wanted(model, counting, as_it_is=True))[service], fields)


def _pins(model: Mapping[str, Any]) -> Mapping[str, tuple[ServiceDefinition, str]]:
    """Return the definition and the image ID of each service."""
    services = services_of(model)
    return {name: (definition, pinned_image_id(services[name])) for name, definition in read_definitions(model).items()}
