"""Create the containers of services that have none, and hand each service on as soon as its own are there."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from types import TracebackType
from typing import Any

from roas.concurrency import begun, end_tasks
from roas.deploy.context import DeploymentContext
from roas.models.deployment import ServiceStep
from roas.models.health import ContainerSnapshot
from roas.stack.comparison import WantedService
from roas.stack.containers.joint_creation import MadeService, made_service
from roas.stack.containers.watch import ContainerWatch
from roas.stack.model.definitions import names_health_check
from roas.stack.model.services import services_of, with_needs


class Creation:
    """Create together what lacks containers, in a task: within the block, services are started meanwhile.

    What shares with another, or links to it, waits for the end of all, and so does what has containers: the one that
    it needs may be made anew before its turn. At the end of the block nothing is being created any more.
    """

    def __init__(
        self,
        context: DeploymentContext,
        watch: ContainerWatch,
        model_hash: str,
        lacking: Collection[str],
        to_do: frozenset[str],
    ) -> None:
        self._context = context
        self._watch = watch
        self._model_hash = model_hash
        self._lacking = sorted(lacking)
        self._to_do = to_do
        self._wanted: Mapping[str, WantedService] = {}
        self._probed: frozenset[str] = frozenset()
        self._new: set[str] = set()
        self._made: dict[str, asyncio.Future[MadeService | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Creation":
        """Write the intents to create, then begin."""
        if self._lacking:
            await self._begin()
        return self

    async def _begin(self) -> None:
        context = self._context
        await context.report_all(self._lacking, ServiceStep.CREATING)
        model = await context.stack.load_model(self._model_hash)
        alone = [name for name in self._lacking if len(with_needs(model, [name])) == 1]
        self._probed = frozenset(name for name in alone if names_health_check(services_of(model)[name]))
        self._made = {name: asyncio.get_running_loop().create_future() for name in alone}
        self._task = asyncio.create_task(self._create(model), name="creation")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let what is under way come to its end; where this process is to end, it is ended."""
        if self._task is None:
            return
        try:
            if not isinstance(error, asyncio.CancelledError):
                await asyncio.wait({self._task})
        finally:
            await end_tasks(self._task, *self._made.values())

    async def of(self, service: str) -> MadeService | None:
        """Wait for what is made of a service, and return it; None where that is left to a call of its own.

        Raises what creating raised.
        """
        if self._task is None:
            return None
        if service in self._made:
            return await asyncio.shield(self._made[service])
        await asyncio.shield(self._task)
        return None

    async def _create(self, model: Mapping[str, Any]) -> None:
        stack = self._context.stack
        try:
            # What the containers should be is known by the time that some are there.
            async with begun(self._learn(model)) as learning:
                created = await stack.create_missing(self._model_hash, self._to_do, created=self._note)
                await learning
        except BaseException as error:
            for made in self._open():
                made.set_exception(error) if isinstance(error, Exception) else made.cancel()
            raise
        self._note(created)
        for made in self._open():
            made.set_result(None)

    def _open(self) -> list[asyncio.Future[MadeService | None]]:
        return [made for made in self._made.values() if not made.done()]

    async def _learn(self, model: Mapping[str, Any]) -> None:
        """Learn what is wanted of services, and let those go on that are made so already."""
        context = self._context
        self._wanted = await context.stack.wanted_services(model, self._watch.containers, as_it_is=True)
        self._go_on(self._made)

    def _note(self, created: tuple[ContainerSnapshot, ...]) -> None:
        """Take over what was created, and let those go on of which all containers are there."""
        self._watch.add(created, probed=self._probed)
        self._new |= {one.id for one in created}
        self._go_on({one.service for one in created} & self._made.keys())

    def _go_on(self, services: Iterable[str]) -> None:
        for name in services:
            if name in self._wanted and not self._made[name].done():
                made = made_service(self._wanted[name], self._watch.of_service(name), self._new)
                if made is not None:
                    self._made[name].set_result(made)
