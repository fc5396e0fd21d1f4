"""Let Compose create containers as a pinned model defines them: what is the same for one service and for many."""

from collections.abc import Mapping
from typing import Any

from roas.engine.client import EngineClients
from roas.engine.compose import commands
from roas.engine.compose.commands import ComposeProject
from roas.engine.compose.processes import LineReport
from roas.engine.compose.runner import ComposeRunner
from roas.engine.containers.pinned_services import PinnedServices
from roas.engine.images.readable_names import set_references
from roas.engine.model.store import ModelStore
from roas.models.environment import Environment

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
        """Name the images of services, given with their fields, and create what is lacking. Raises RoasError."""
        names = list(services)
        project = ComposeProject.of_model(environment, self._models.existing(model_hash))
        arguments = commands.create(project, names, keep_existing=keep_existing, anew=anew, scale=scale)
        await set_references(self.clients, environment, services)
        seconds, service = CREATE_SECONDS + more_seconds, names[0] if len(names) == 1 else None
        await self._runner.run(arguments, environment, timeout_seconds=seconds, service=service, on_line=on_line)
