"""Let the engine get ready to create what a plan has as new, before the deployment that is to create it has begun."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

from roas.concurrency import end_tasks, wait_for
from roas.deployment.components import Components
from roas.errors import RoasError
from roas.log import get_logger
from roas.models.deployment import DeploymentRequest
from roas.models.environment import Environment

log = get_logger(__name__)

# Docker's command line waits 2 s for an engine's first answer; one that had none would go by what it takes for granted.
COMPOSE_WAITS_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class NewContainers:
    """Name what a plan creates, or changes, of a model of which all is known."""

    model: Mapping[str, Any] = field(repr=False)
    chosen: frozenset[str]


class CreationAhead:
    """Be ready to create, in a task, until the end of it all; what nobody lets look in time ends by itself."""

    def __init__(self, components: Components, environment: Environment, new: NewContainers) -> None:
        self.new = new
        self._may_look = asyncio.Event()
        self._task = asyncio.create_task(self._get_ready(components, environment), name="getting ready to create")

    def let_look(self) -> None:
        """Let it look at the engine."""
        self._may_look.set()

    async def end(self) -> None:
        """End it. What was not created yet is not any more."""
        await end_tasks(self._task)

    async def _get_ready(self, components: Components, environment: Environment) -> None:
        try:
            async with components.engine.ready_to_create(environment, self.new.model, self.new.chosen) as let_look:
                if await wait_for(self._may_look, COMPOSE_WAITS_SECONDS):
                    await let_look()
                    await asyncio.get_running_loop().create_future()
        except RoasError as error:
            log.info("not ready to create ahead", error=error.message)


class CreationsAhead:
    """Begin for who clicks on the last plan what that plan would create, and go on with it where it still would."""

    def __init__(self, components: Components) -> None:
        self._components = components
        self._shown: tuple[object, NewContainers] | None = None
        self._begun: dict[str, CreationAhead] = {}
        self._all: WeakSet[CreationAhead] = WeakSet()  # whatever is under way: its task holds it

    def remember(self, request: DeploymentRequest, new: NewContainers | None) -> None:
        """Remember what a plan that is shown would create, in place of the one before."""
        self._shown = None if new is None else (_asked(request), new)

    async def begin(self, environment: Environment, request: DeploymentRequest) -> None:
        """Get ready for what the plan that was shown for a request would create, while it is planned once more."""
        await self._end(environment.name)
        shown, self._shown = self._shown, None
        if shown is not None and shown[0] == _asked(request):
            self._begun[environment.name] = self._get_ready(environment, shown[1])

    async def of(self, environment: Environment, new: NewContainers | None) -> CreationAhead | None:
        """Return what gets ready for what the second plan would create."""
        begun = self._begun.get(environment.name)
        if begun is not None and begun.new == new:
            return self._begun.pop(environment.name)
        await self._end(environment.name)
        return None if new is None else self._get_ready(environment, new)

    async def end(self) -> None:
        """End what was begun, also what no deployment took."""
        for one in tuple(self._all):
            await one.end()

    def _get_ready(self, environment: Environment, new: NewContainers) -> CreationAhead:
        ahead = CreationAhead(self._components, environment, new)
        self._all.add(ahead)
        return ahead

    async def _end(self, environment: str) -> None:
        begun = self._begun.pop(environment, None)
        if begun is not None:
            await begun.end()


def _asked(request: DeploymentRequest) -> object:
    return request.environment, request.kind, request.version, request.services
