"""Move the environment to the new release, each service as soon as its own dependencies are ready."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any

from roas.concurrency import begun, end_tasks
from roas.deploy.applier import Applier
from roas.deploy.changes import StackChanges, begun_services, find_changes, replaced_before
from roas.deploy.context import DeploymentContext
from roas.deploy.draft import load_release, refuse_unplanned
from roas.deploy.handover import replace_bot_if_needed
from roas.deploy.own_service import find_running_bot, refuse_without_bot, replicas_by_service
from roas.messages.message import said
from roas.models.coordination import PhaseName
from roas.models.deployment import ServiceProgress, ServiceStep
from roas.models.facts import OwnContainer
from roas.models.health import ContainerSnapshot
from roas.stack.comparison import WantedService
from roas.stack.containers.joint_creation import MadeService, made_service
from roas.stack.containers.watch import ContainerWatch
from roas.stack.model.services import with_needs


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
        self._watch.add(created)
        self._new |= {container.id for container in created}
        self._go_on({container.service for container in created} & self._made.keys())

    def _go_on(self, services: Iterable[str]) -> None:
        for name in services:
            if name in self._wanted and not self._made[name].done():
                made = made_service(self._wanted[name], self._watch.of_service(name), self._new)
                if made is not None:
                    self._made[name].set_result(made)


NOT_TOUCHED_YET = frozenset({ServiceStep.PENDING, ServiceStep.PULLED, ServiceStep.BUILT})


class Execution:
    """Apply the release; what runs already as it says is left alone, so that it can be done again after a crash."""

    name = PhaseName.EXECUTION

    async def run(self, context: DeploymentContext) -> str:
        """Return how many services were changed."""
        release = await load_release(context)
        async with context.watching() as watch:
            await self._apply(context, watch, release.model_hash)
        # All of them: what is left to do after a handover, or after a crash, is only a part.
        known = context.deployment.services
        changed = sum(progress.changed for progress in known)
        names = {service.name for service in release.services} | {
            progress.service for progress in known
        }  # those, too, that are removed
        return said("{changed} of {services} {services|service|services} changed", changed=changed, services=len(names))

    async def _apply(self, context: DeploymentContext, watch: ContainerWatch, model_hash: str) -> None:
        manager = context.components.manager
        bot = await context.bot()
        context.observed = definitions = await context.definitions_to_apply(model_hash)
        # The plan refuses that already, but one made by the release before did not: nothing has been touched yet.
        known = bot or await find_running_bot(context.components, context.environment)
        refuse_without_bot(known, replicas_by_service(definitions), context.release_label)
        changes = await self._changes(context, watch, model_hash, bot)
        refuse_unplanned(context, changes)
        to_do = frozenset(changes.differing) | changes.restarts
        own = frozenset() if bot is None else frozenset({bot.service})
        await _plan_services(context, to_do | changes.gone, frozenset(definitions) - to_do - own)
        context.checkpoint()
        lacking = {name for name in changes.differing if not watch.of_service(name)}
        async with Creation(context, watch, model_hash, lacking, to_do) as creation:
            applier = Applier(context, watch, definitions, model_hash, changes.restarts, made=creation.of)
            after_ourselves = applier.coordinator.dependents(own)
            await applier.apply_all(to_do - after_ourselves)
        if not (named := frozenset(context.deployment.request.services)) or own & named:
            await replace_bot_if_needed(context, watch, model_hash, bot)
        await applier.apply_all(to_do & after_ourselves)
        for service in sorted(changes.gone):
            context.checkpoint()
            before = await context.definition_before(service)
            context.allow_drain(before)
            await manager.remove_service(context.stack, service, watch, context.report, before)
        await context.name_images(model_hash)

    async def _changes(
        self, context: DeploymentContext, watch: ContainerWatch, model_hash: str, bot: OwnContainer | None
    ) -> StackChanges:
        model = await context.stack.load_model(model_hash)
        scope = replace(
            await context.scope(),
            begun=begun_services(context.deployment),
            replaced=replaced_before(context.deployment),
        )
        return await find_changes(context.stack, model, watch.containers, bot=bot, scope=scope)


async def _plan_services(context: DeploymentContext, changed: frozenset[str], kept: frozenset[str]) -> None:
    """Write which services this run touches; an earlier attempt's record of a service is not lost."""
    known = {progress.service: progress for progress in context.deployment.services}
    planned = []
    for service in sorted(changed | kept):
        old = known.get(service, ServiceProgress(service))
        if service in changed and not old.changed:
            planned.append(ServiceProgress(service, old_image=old.old_image, changed=True))
        if service in kept and old.step in NOT_TOUCHED_YET:
            planned.append(replace(old, step=ServiceStep.UNCHANGED, changed=False))
    await context.plan_services(planned)  # with the first intent
