"""Return the whole environment to its earlier release."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace

from roas.concurrency import run_concurrently
from roas.deploy.applier import Applier
from roas.deploy.changes import StackChanges, begun_services, find_changes
from roas.deploy.context import DeploymentContext
from roas.deploy.data.backups import refuse_half_restored
from roas.deploy.data.restore import is_due, restore_data, used_data
from roas.deploy.dependencies import DependencyCoordinator
from roas.deploy.draft import refuse_unplanned
from roas.deploy.handover.replacement import replace_bot_if_needed
from roas.deploy.handover.stale_instances import remove_predecessors
from roas.deploy.outcome import is_put_back
from roas.deploy.own_service import (
    keeps_bot,
    refuse_without_bot,
    replicas_by_service,
)
from roas.deploy.phases.verification import require_undisturbed, wait_for_first_checks, warn_of_left_tasks
from roas.errors import ServiceFailedError
from roas.messages.message import said
from roas.models.deployment import UNTOUCHED_STEPS, DeploymentKind, ServiceProgress, ServiceStep
from roas.models.facts import OwnContainer
from roas.models.health import ContainerState
from roas.models.phases import PhaseName
from roas.models.release import Release
from roas.models.stack import DependencyKind, ServiceDefinition
from roas.stack.containers.readiness import Readiness, judge_readiness
from roas.stack.containers.watch import ContainerWatch
from roas.stack.model.services import restart_policy, services_of
from roas.stack.service_comparison import runs_well, serves
from roas.stack.updating.behind_proxy import Front

WELL = frozenset({Readiness.HEALTHY, Readiness.UNVERIFIED, Readiness.COMPLETED})


class Rollback:
    """Bring the old release up in dependency order; what it replaces goes once that is ready. Needs no registry."""

    name = PhaseName.ROLLBACK

    async def run(self, context: DeploymentContext) -> str:
        """Return which release runs again. Raises RoasError: then an operator is needed."""
        target = await self._target(context)
        async with ContainerWatch(context.stack) as watch:
            if target is None:
                context.release = None
                bot = await self._remove_everything(context, watch)
                if bot is None:
                    return said("nothing ran before, so everything was removed")
                return said(
                    "nothing ran before, so everything but {service}, which is this bot itself, was removed",
                    service=bot.service,
                )
            await _send_back(context, watch)
            await self._restore(context, watch, target)
            return said("{target} runs again", target=target.label)

    async def _target(self, context: DeploymentContext) -> Release | None:
        """Move to the requested release or, after a failed deployment, to the one before it."""
        deployment = context.deployment
        asked_for = deployment.request.kind is DeploymentKind.ROLLBACK and deployment.problem is None
        number = deployment.to_release if asked_for else deployment.from_release
        if number is None:
            return None
        return await context.components.state.releases.get(context.environment.name, number)

    async def _restore(self, context: DeploymentContext, watch: ContainerWatch, target: Release) -> None:
        """Bring back what is not as the release has it, with its data where the request names that."""
        stays = await self._bot_without_place(context, target)
        for action in await context.own_service.sweep(on_left=context.warn):
            context.warn(action)
        context.release, context.model_hash = target, (model_hash := await _model_to_restore(context, target))
        await context.update(applied_model=model_hash)
        await watch.refresh()
        bot = await context.bot()
        changes = await self._find_changes(context, watch, target, model_hash, bot, stays)
        own = stays | (frozenset() if bot is None else frozenset({bot.service}))
        asked_for = context.deployment.request.kind is DeploymentKind.ROLLBACK and not context.failed
        if asked_for and not context.deployment.request.data:
            await refuse_half_restored(context, await context.definitions(model_hash))
        if is_due(context):
            await self._restore_data(context, watch, model_hash, frozenset(changes.differing) | changes.restarts, own)
            changes = await self._find_changes(context, watch, target, model_hash, bot, stays)
        if context.deployment.data_step is not None:
            await _give_policies_back(context, watch, model_hash)
        await self._apply(context, watch, model_hash, changes, own, None if stays else bot)
        if context.deployment.problem is not None:  # no verification comes after this
            await _warn_of_left_tasks(context)
            if not (context.stack.replaces_by_itself or stays or _unwell_before(context)):
                await wait_for_first_checks(context, model_hash, watch)
                await require_undisturbed(context, model_hash, watch)
                context.is_whole = True
            await remove_predecessors(context, watch)

    async def _apply(
        self,
        context: DeploymentContext,
        watch: ContainerWatch,
        model_hash: str,
        changes: StackChanges,
        own: frozenset[str],
        bot: OwnContainer | None,
    ) -> None:
        """Apply the release to services in dependency order, a bot that moves after what does not depend on it."""
        differing, restarts = frozenset(changes.differing) - own - _unwell_before(context), changes.restarts - own
        if context.deployment.problem is not None:  # what failed may be this very bot: the old one does the rest
            await replace_bot_if_needed(context, watch, model_hash, bot)
        definitions = await _definitions_to_restore(context, model_hash)
        _warn_of_jobs(context, differing)
        await _plan_services(context, watch, differing | restarts)
        # Dependents of the bot cannot wait for one that may be unhealthy: the successor handles them, as in execution.
        late = frozenset[str]()
        if context.deployment.problem is None:
            late = DependencyCoordinator(definitions).dependents(own)
        # People find what they asked for under the names that it had; a kept container has its name until it goes.
        keeps = context.deployment.request.kind is not DeploymentKind.ROLLBACK
        applier = Applier(context, watch, definitions, model_hash, restarts, await _model_before(context), keeps)
        async with self._gone_once_restored(context, watch, changes.gone - own, frozenset(definitions)):
            await applier.apply_all((differing | restarts) - late, restoring=True)
            await replace_bot_if_needed(context, watch, model_hash, bot)
            await applier.apply_all((differing | restarts) & late, restoring=True)
        behind_proxy = context.components.manager.behind_proxy
        await behind_proxy.settle_idle(context.stack, definitions.values(), waits=True)

    async def _restore_data(
        self,
        context: DeploymentContext,
        watch: ContainerWatch,
        model_hash: str,
        changing: frozenset[str],
        own: frozenset[str],
    ) -> None:
        """Restore data while what uses it is stopped; what was well before that is written first."""
        definitions = await context.definitions(model_hash)
        if before := await _model_before(context):
            definitions |= await context.definitions(before)
        stopped = {name for name in await used_data(context, definitions) if watch.of_service(name)}
        await _plan_services(context, watch, (changing | stopped) - own)
        await restore_data(context, watch, definitions, own)
        await watch.refresh()

    async def _find_changes(
        self,
        context: DeploymentContext,
        watch: ContainerWatch,
        target: Release,
        model_hash: str,
        bot: OwnContainer | None,
        stays: frozenset[str],
    ) -> StackChanges:
        """Find what is not as the release has it, and require its images while nothing has been changed."""
        model = await context.stack.load_model(model_hash)
        scope = replace(await context.scope(), begun=begun_services(context.deployment))
        changes = await find_changes(context.stack, model, watch.containers, bot=bot, scope=scope)
        refuse_unplanned(context, changes, stays)
        if context.failed:
            of_bot = frozenset({changes.own.service}) if changes.own else frozenset()
            needed = (frozenset(changes.differing) | of_bot) - stays
            await context.keeper.require_images(target, needed, context.report)
        await context.name_images(model_hash)
        return changes

    @asynccontextmanager
    async def _gone_once_restored(
        self, context: DeploymentContext, watch: ContainerWatch, gone: frozenset[str], restored: frozenset[str]
    ) -> AsyncIterator[None]:
        """Remove, after the block, the services that the old release does not have; what a job left goes first.

        What has a place that only one container can have makes room before, and is started again if the block fails.
        """
        stack = context.stack
        before = {service: await context.definition_before(service) for service in sorted(gone)}

        async def remove(services: Iterable[str]) -> None:
            for service in services:
                context.allow_drain(before[service])
                await context.components.manager.remove_service(stack, service, watch, context.report, before[service])

        held = {
            name
            for name, definition in before.items()
            if definition is not None and definition.fixed_place and not stack.replaces_by_itself
        }
        first = {
            name
            for name, definition in before.items()
            if name in restored or (definition is not None and definition.fixed_name)
        }
        await remove(sorted(first))
        stopped = [
            container
            for service in sorted(held - first)
            for container in watch.of_service(service)
            if container.state is ContainerState.RUNNING
        ]
        await context.report_all(sorted({container.service for container in stopped}), ServiceStep.RESTORING)
        await run_concurrently(stack.stop(container.id) for container in stopped)
        try:
            yield
        except ServiceFailedError:
            for container in stopped:
                await stack.start(container.id)
            raise
        await watch.refresh()
        await remove(sorted(gone - first))

    async def _bot_without_place(self, context: DeploymentContext, target: Release) -> frozenset[str]:
        """Return the bot's own service where the release to go back to has no container of it: it stays as it is.

        Raises BotRemovalError where a person requested that release: nothing has been changed then.
        """
        bot = await context.own_service.known_bot()
        replicas = replicas_by_service(await context.definitions(target.model_hash))
        if bot is None or keeps_bot(bot, replicas):
            return frozenset()
        if context.deployment.problem is None:  # the plan refuses it, but one made by the release before did not
            refuse_without_bot(bot, replicas, target.label)
        context.warn(
            said(
                "{target} has no container of {service}, which is this bot itself: it stays as it is.",
                target=target.label,
                service=bot.service,
            )
        )
        return frozenset({bot.service})

    async def _remove_everything(self, context: DeploymentContext, watch: ContainerWatch) -> OwnContainer | None:
        """Remove what there is, and return the bot, which stays: also one that is stopped and was not touched."""
        bot = await context.bot()
        if bot is None:
            touched = {
                progress.service for progress in context.deployment.services if progress.step not in UNTOUCHED_STEPS
            }
            known = await context.own_service.known_bot()
            if known is not None and known.service not in touched:  # else it is part of what failed
                bot = known
        own = frozenset() if bot is None else frozenset({bot.service})
        there = {container.service for container in watch.containers}
        there |= await context.stack.written_services()
        for service in sorted(there - own):
            await context.components.manager.remove_service(context.stack, service, watch, context.report)
        return bot


async def _give_policies_back(context: DeploymentContext, watch: ContainerWatch, model_hash: str) -> None:
    """Let what was stopped for the sake of data start with the engine again, where a model says so."""
    models = [await context.stack.load_model(known) for known in {model_hash, await _model_before(context)} if known]
    always = {
        name
        for model in models
        for name, service in services_of(model).items()
        if restart_policy(service)[0] == "always"
    }
    for name in sorted(always):
        await run_concurrently(context.stack.restart_always(container.id) for container in watch.of_service(name))


async def _send_back(context: DeploymentContext, watch: ContainerWatch) -> None:
    """Send all requests to the old containers of each service in a canary: its turn to go back comes later."""
    if not context.deployment.in_canary or not (model := await _model_before(context)):
        return
    definitions = await context.definitions(model)
    for progress in context.deployment.services:
        if progress.service not in context.deployment.in_canary or progress.service not in definitions:
            continue
        canary = progress.rollout.canary if progress.rollout is not None else None
        there = watch.of_service(progress.service)
        old = [container for container in there if canary is not None and container.id in canary.old]
        if any(map(serves, old)):
            new = {container.id for container in there} - {container.id for container in old}
            await Front(context.stack, definitions[progress.service]).send_back(old, new)


async def _warn_of_left_tasks(context: DeploymentContext) -> None:
    """Say where a lost node of a Swarm may still run what was brought back, or what was replaced."""
    if not context.stack.replaces_by_itself:
        return
    there = await context.stack.containers()
    for service in sorted({progress.service for progress in context.deployment.services if progress.changed}):
        warn_of_left_tasks(context, service, [container for container in there if container.service == service])


def _warn_of_jobs(context: DeploymentContext, again: frozenset[str]) -> None:
    """Say which jobs a deployment that failed has run: what they did, such as to a database, stays done."""
    if context.deployment.problem is None:
        return
    for progress in context.deployment.services:
        if progress.step is ServiceStep.COMPLETED and progress.changed and progress.service not in again:
            context.warn(said("The job {service} ran. What it did is not undone.", service=progress.service))


async def _plan_services(context: DeploymentContext, watch: ContainerWatch, services: frozenset[str]) -> None:
    """Record what is restored, so that it is verified, and which of it was well before, as are its containers.

    After a failure, what runs and may still become well counts, too, but for what failed.
    """
    known = context.deployment.by_service
    problem = context.deployment.problem
    model = "" if is_put_back(context.deployment) else await _model_before(context)
    there = await context.definitions(model) if model else {}
    planned = []
    for service in sorted(services):
        progress = replace(known.get(service, ServiceProgress(service)), changed=True)
        if progress.was_well is None and service in there:
            containers = watch.of_service(service)
            readiness = judge_readiness(there[service], containers, tolerated_restarts=2**31).state
            may_become_well = readiness is Readiness.WAITING and all(map(runs_well, containers))
            is_well = readiness in WELL or (problem is not None and may_become_well)
            progress = replace(
                progress,
                was_well=is_well and (problem is None or problem.service != service),
                well_containers=tuple(container.id for container in containers if runs_well(container)),
            )
        planned.append(progress)
    await context.plan_services(planned)


async def _model_to_restore(context: DeploymentContext, target: Release) -> str:
    """Return the hash of the model that comes back: as it was drafted, or with today's credentials."""
    model_hash = "" if context.failed else context.deployment.applied_model
    if context.deployment.request.operation is not None:  # the same release, as it was before
        model_hash = await context.components.state.releases.applied_model(context.environment.name) or ""
    if not model_hash:  # nobody drafted this way
        model_hash, warnings = await context.stack.releases.renew(target)
        for warning in warnings:
            context.warn(warning)
    return model_hash


async def _model_before(context: DeploymentContext) -> str:
    """Return the hash of the model that services are of which this way leads from; empty where none is known."""
    deployment, releases = context.deployment, context.components.state.releases
    if deployment.problem is None:  # asked for, and not applied yet: the journal has what runs
        return await releases.applied_model(context.environment.name) or ""
    number = deployment.to_release
    found = None if number is None else await releases.get(context.environment.name, number)
    return "" if found is None else found.model_hash


async def _definitions_to_restore(context: DeploymentContext, model_hash: str) -> dict[str, ServiceDefinition]:
    """Return the definitions of a model as a rollback applies them."""
    wanted = await context.definitions_to_apply(model_hash)
    definitions = {name: definition.for_rollback() for name, definition in wanted.items()}
    if is_put_back(context.deployment):  # a service that waits in vain for another was well without it before
        return {name: _without_needs(definition) for name, definition in definitions.items()}
    return definitions


def _unwell_before(context: DeploymentContext) -> frozenset[str]:
    """Return the services that are put back without having been well: they stay as they are."""
    if not is_put_back(context.deployment):
        return frozenset()
    return frozenset(progress.service for progress in context.deployment.services if progress.was_well is False)


def _without_needs(definition: ServiceDefinition) -> ServiceDefinition:
    edges = (
        replace(edge, kind=DependencyKind.OPTIONAL) if edge.kind is DependencyKind.REQUIRED else edge
        for edge in definition.dependencies
    )
    return replace(definition, dependencies=tuple(edges))
