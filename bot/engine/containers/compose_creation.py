"""Let Compose create containers as a pinned model defines them: what is the same for one service and for many."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from roas.engine.client import EngineClients
from roas.engine.compose import commands
from roas.engine.compose.commands import ComposeProject
from roas.engine.compose.processes import LineReport, WaitingCommand
from roas.engine.compose.runner import ComposeRunner
from roas.engine.containers.pinned_services import PinnedServices
from roas.engine.images.readable_names import set_references
from roas.engine.interface import LetLook
from roas.engine.model.store import ModelStore
from roas.errors import RoasError
from roas.log import get_logger
from roas.models.environment import Environment

log = get_logger(__name__)

# What the creation of a single container may take, beside the end of what it takes the place of.
CREATE_SECONDS = 60.0


class ComposeCreation:
    """Create containers of services in one call; nothing is started here."""

    def __init__(
        self, clients: EngineClients, runner: ComposeRunner, models: ModelStore, pinned: PinnedServices
    ) -> None:
        self.clients = clients
        self.pinned = pinned
        self._runner = runner
        self._models = models
        # What was let look, by environment: one at a time is deployed to each, while others may click.
        self._waiting: dict[str, WaitingCommand] = {}

    async def store(self, model: Mapping[str, Any]) -> str:
        """Store a pinned model, and return its hash."""
        return await self.clients.local(lambda: self._models.save(model))

    async def create(
        self,
        environment: Environment,
        model_hash: str,
        services: Mapping[str, Mapping[str, Any]],
        *,
        keep_existing: bool,
        scale: Mapping[str, int],
        anew: bool = False,
        more_seconds: float = 0.0,
        on_line: LineReport | None = None,
    ) -> None:
        """Name the images of services, given with their fields, and create what is lacking. Raises RoasError.

        Where the same waits to be created already, that goes on; it looked at the engine before. Where that fails, a
        call of its own goes by what there is now.
        """
        names = list(services)
        arguments = self._arguments(environment, model_hash, names, keep_existing, scale, anew=anew)
        await set_references(self.clients, environment, services)
        seconds, service = CREATE_SECONDS + more_seconds, names[0] if len(names) == 1 else None
        waiting = self._waiting.pop(environment.name, None)
        if waiting is not None and waiting.is_ready and waiting.arguments == tuple(arguments):
            try:
                await waiting.go_on(seconds, service, on_line)
            except RoasError as error:
                if isinstance(error.__cause__, TimeoutError):  # it has had its time
                    raise
                log.info("what was ready to create failed", environment=environment.name, error=error.message)
            else:
                return
        await self._runner.run(arguments, environment, timeout_seconds=seconds, service=service, on_line=on_line)

    @asynccontextmanager
    async def ready(
        self,
        environment: Environment,
        model_hash: str,
        services: Mapping[str, Mapping[str, Any]],
        *,
        scale: Mapping[str, int],
        looked: Callable[[], None],
    ) -> AsyncIterator[LetLook]:
        """Let Compose start, within the block, to `create` these services where they lack; nothing is made yet.

        What is yielded names their images and lets it look at the engine, too; `looked` is called once it has.
        """
        arguments = self._arguments(environment, model_hash, list(services), True, scale, anew=False)
        async with self._runner.waiting(arguments, environment, looked) as waiting:

            async def look() -> None:
                if waiting is not None:
                    self._waiting[environment.name] = waiting
                    await set_references(self.clients, environment, services)
                    waiting.look()

            try:
                yield look
            finally:
                if self._waiting.get(environment.name) is waiting:
                    self._waiting.pop(environment.name, None)

    def _arguments(
        self,
        environment: Environment,
        model_hash: str,
        names: list[str],
        keep_existing: bool,
        scale: Mapping[str, int],
        *,
        anew: bool,
    ) -> list[str]:
        project = ComposeProject.of_model(environment, self._models.existing(model_hash))
        return commands.create(project, names, keep_existing=keep_existing, anew=anew, scale=scale)
