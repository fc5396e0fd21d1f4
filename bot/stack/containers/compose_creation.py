"""Let Compose create containers as a pinned model defines them: what is the same for one service and for many."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from roas.stack.client import Engine
from roas.stack.compose import commands
from roas.stack.compose.commands import ComposeProject
from roas.stack.compose.create_requests import Completion, completing_socket
from roas.stack.compose.runner import ComposeRunner
from roas.stack.containers.pinned_services import PinnedServices
from roas.stack.docker_client import path_of
from roas.stack.images.readable_names import set_references
from roas.stack.model.services import services_of
from roas.stack.model.store import ModelStore

# What the creation of a single container may take, beside the end of what it takes the place of.
CREATE_SECONDS = 60.0


class ComposeCreation:
    """Create containers of services in one call; nothing is started here."""

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
        completions = {name: Completion(hashes[name], images.get(name)) for name in names}
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


@asynccontextmanager
async def _completing(engine: Engine, completions: Mapping[str, Completion]) -> AsyncIterator[str | None]:
    """Complete what Compose asks for within the block; an engine on another machine is asked by Compose itself."""
    if not engine.is_local:
        yield None
        return
    async with completing_socket(path_of(engine.address), completions) as path:
        yield path
