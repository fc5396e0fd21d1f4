"""Let Compose create containers as a pinned model defines them: of one service, or of all that lack some."""

from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any

from roas.errors import EngineUnavailableError, RoasError
from roas.log import get_logger
from roas.models.health import ContainerSnapshot
from roas.stack.compose import commands
from roas.stack.compose.commands import ComposeProject
from roas.stack.compose.create_requests import LabelCompletion, completing_socket
from roas.stack.compose.runner import ComposeRunner
from roas.stack.containers.networks import missing_networks
from roas.stack.containers.pinned_services import PinnedServices
from roas.stack.containers.removal import unpause
from roas.stack.containers.snapshots import take_outlines
from roas.stack.docker.engine import Engine
from roas.stack.docker.sdk import path_of
from roas.stack.images.readable_names import set_references
from roas.stack.model.services import replicas_of, services_of, with_needs
from roas.stack.model.store import ModelStore

# What the creation of a single container may take, beside the end of what it takes the place of.
CREATE_SECONDS = 60.0
# What each of many that are made in one call may take beside that.
CREATE_SECONDS_EACH = 1.0

log = get_logger(__name__)


class ComposeCreation:
    """Create containers; nothing is started here."""

    def __init__(self, engine: Engine, runner: ComposeRunner, models: ModelStore, pinned: PinnedServices) -> None:
        self.engine = engine
        self.pinned = pinned
        self._runner = runner
        self._models = models

    async def create(
        self,
        model_hash: str,
        hashes: Mapping[str, str],
        *,
        keep_existing: bool,
        scale: Mapping[str, int],
        recreate: bool = False,
        more_seconds: float = 0.0,
    ) -> None:
        """Name the images of services, given with their hashes, and create what is lacking. Raises RoasError.

        The containers get these, and the names that the files have for their images.
        """
        names = list(hashes)
        project = ComposeProject.of_model(self.engine.environment, self._models.existing(model_hash))
        arguments = commands.create(project, names, keep_existing=keep_existing, recreate=recreate, scale=scale)
        model = await self.engine.local(lambda: self._models.load(model_hash))
        services = [services_of(model)[name] for name in names]
        await self.engine.local(lambda: self.pinned.live.put_all(services))
        images = await set_references(self.engine, services_of(model), names)
        completions = {name: LabelCompletion(hashes[name], images.get(name)) for name in names}
        seconds, service = CREATE_SECONDS + more_seconds, names[0] if len(names) == 1 else None
        async with _completing(self.engine, completions) as path:
            await self._runner.run(
                arguments,
                self.engine.environment,
                timeout_seconds=seconds,
                service=service,
                engine_socket=path,
            )
        await self.engine.local(lambda: self.pinned.live.note_all(services))

    async def create_missing(self, model_hash: str, chosen: frozenset[str] | None) -> tuple[ContainerSnapshot, ...]:
        """Create the containers of services that have none, and the networks that the model has and the engine lacks.

        What exists keeps its containers, as many as there are; so does what is not among the `chosen`. Returns what
        was created. Of many that are created in one call, the engine may refuse one: each is left to a call of its own.
        """
        model = await self.pinned.model_to_apply(model_hash)
        networks, there = await missing_networks(self.engine, model), await take_outlines(self.engine)
        present, services = Counter(container.service for container in there), services_of(model)
        lacking = {
            name
            for name, fields in services.items()
            if (chosen is None or name in chosen)
            and ((replicas_of(fields) and not present[name]) or networks & set(fields.get("networks") or ()))
        }
        lacking |= {name for name in with_needs(model, lacking) if not present[name] and replicas_of(services[name])}
        for names in _batches(model, lacking):
            await unpause(self.engine, [container for container in there if container.service in names])
            wanted = await self.pinned.wanted(model, as_it_is=True)
            try:
                await self.create(
                    model_hash,
                    {name: wanted[name].config_hash for name in names},
                    keep_existing=True,
                    scale={name: present[name] for name in names if present[name]},
                    more_seconds=CREATE_SECONDS_EACH * len(names),
                )
            except EngineUnavailableError:
                raise
            except RoasError as error:
                if len(names) == 1:
                    raise
                log.warning("not created together", environment=self.engine.environment.name, error=error.message)
        before = {container.id for container in there}
        return tuple(container for container in await take_outlines(self.engine) if container.id not in before)


def _batches(model: Mapping[str, Any], services: Collection[str]) -> list[list[str]]:
    """Return what is made in one call: all that share with nothing, then each other one after what it shares with.

    Compose 2.26 hashes what it makes in one call with what they need of each other.
    """
    needs = {name: with_needs(model, [name]) for name in services}
    alone = sorted(name for name in services if len(needs[name]) == 1)
    others = sorted(needs.keys() - set(alone), key=lambda name: (len(needs[name]), name))
    return [*([alone] if alone else []), *([name] for name in others)]


@asynccontextmanager
async def _completing(engine: Engine, completions: Mapping[str, LabelCompletion]) -> AsyncIterator[str | None]:
    """Complete what Compose asks for within the block; an engine that has no socket here is asked by Compose itself."""
    if not engine.has_socket:
        yield None
        return
    async with completing_socket(path_of(await engine.reached()), completions) as path:
        yield path
