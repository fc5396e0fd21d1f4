"""Return the whole environment to its earlier release."""

from dataclasses import replace

from roas.deployment.applier import Applier
from roas.deployment.changes import Scope, find_changes
from roas.deployment.context import DeploymentContext
from roas.deployment.dependencies import DependencyCoordinator
from roas.deployment.dependent_restarts import begun
from roas.deployment.handover import replace_bot_if_needed
from roas.deployment.leftovers import sweep_leftovers
from roas.deployment.own_service import find_running_bot, keeps_bot, refuse_without_bot, replicas_by_service
from roas.deployment.phases.verification import require_undisturbed
from roas.deployment.planning import plan_rollback, require_same_plan
from roas.deployment.stale_instances import remove_predecessors
from roas.engine.containers.watch import ContainerWatch
from roas.engine.replica_replacement import stays_up
from roas.messages.message import said
from roas.models.coordination import PhaseName
from roas.models.deployment import UNTOUCHED_STEPS, DeploymentKind, ServiceProgress, ServiceStep
from roas.models.facts import OwnContainer
from roas.models.release import Release


class Rollback:
    """Stop what differs in reverse order, then bring the old release up in dependency order; needs no registry."""

    name = PhaseName.ROLLBACK

    async def run(self, context: DeploymentContext) -> str:
        """Return which release runs again. Raises RoasError: then an operator is needed."""
        target = await self._target(context)
        async with ContainerWatch(context.components.engine, context.environment) as watch:
            if target is None:
                context.release = None
                bot = await self._remove_everything(context, watch)
                if bot is None:
                    return said("nothing ran before, so everything was removed")
                return said(
                    "nothing ran before, so everything but {service}, which is this bot itself, was removed",
                    service=bot.service,
                )
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
        engine, manager = context.components.engine, context.components.manager
        await _refuse_other_plan(context, target)
        stays = await self._bot_without_place(context, target)
        for action in await sweep_leftovers(context.components, context.environment, on_left=context.warn):
            context.warn(action)
        model_hash, warnings = await engine.refresh_credentials(context.environment, target)
        for warning in warnings:
            context.warn(warning)
        context.release, context.model_hash = target, model_hash
        await context.update(applied_model=model_hash)
        await watch.refresh()
        bot = await context.bot()
        own = stays | (frozenset() if bot is None else frozenset({bot.service}))
        own_bot, bot = bot, None if stays else bot
        model = await engine.load_model(model_hash)
        scope = Scope(moved=await context.services_before(), begun=begun(context.deployment))
        changes = await find_changes(engine, context.environment, model, watch.containers, bot=own_bot, scope=scope)
        of_bot = frozenset({changes.own.service}) if changes.own else frozenset()
        needed = (frozenset(changes.differing) | of_bot) - stays
        await manager.releases.require_images(context.environment, target, needed, context.report)
        await context.name_images(model_hash)
        if context.deployment.problem is not None:  # what failed may be this very bot: the old one does the rest
            await replace_bot_if_needed(context, watch, model_hash, bot)
        differing, restarts = frozenset(changes.differing) - own, changes.restarts - own
        wanted = await context.definitions_to_apply(model_hash)
        definitions = {name: one.for_rollback() for name, one in wanted.items()}
        coordinator = DependencyCoordinator(definitions)
        for service in sorted(changes.gone - own):
            before = await context.definition_before(service)
            context.allow_drain(before)
            await manager.remove_service(context.environment, service, watch, context.report, before)
        # Dependents of the bot cannot wait for one that may be unhealthy: the successor handles them, as in execution.
        late = coordinator.dependents(own) if context.deployment.problem is None else frozenset()
        applier = Applier(context, watch, definitions, model_hash, restarts)
        await self._restore_services(applier, differing - late, restarts - late)
        await replace_bot_if_needed(context, watch, model_hash, bot)
        await self._restore_services(applier, differing & late, restarts & late)
        await manager.settle_proxies(context.environment, definitions.values())
        if context.deployment.problem is not None:  # no verification comes after this
            if not context.environment.on_swarm and not stays:
                await require_undisturbed(context, model_hash, watch)
            await remove_predecessors(context, watch)

    async def _bot_without_place(self, context: DeploymentContext, target: Release) -> frozenset[str]:
        """Return the bot's own service where the release to go back to has no container of it: it stays as it is.

        Raises BotRemovalError where a person requested that release: nothing has been changed then.
        """
        bot = await find_running_bot(context.components, context.environment)
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

    async def _restore_services(self, applier: Applier, differing: frozenset[str], restarts: frozenset[str]) -> None:
        """Remove what differs, dependents first, then start it as it was."""
        order, definitions = applier.coordinator.order(differing), applier.definitions
        replaced = [name for name in order if not stays_up(definitions[name])]
        await self._remove_services(applier.context, applier.watch, replaced[::-1], applier.model_hash)
        await _plan_restarts(applier.context, restarts)
        await applier.apply_all(differing | restarts, restoring=True)

    async def _remove_services(
        self, context: DeploymentContext, watch: ContainerWatch, services: list[str], model_hash: str
    ) -> None:
        """Stop what is not of the old release, dependents first; containers of the old release stay.

        Compose replaces a stopped container, and takes its unnamed volumes over; those of a removed one would be lost.
        """
        engine = context.components.engine
        wanted = await engine.wanted_services(context.environment, await engine.load_model(model_hash))
        known = {progress.service: progress for progress in context.deployment.services}
        for service in services:
            await context.plan_services([known.get(service, ServiceProgress(service, changed=True))])
            await context.report(service, ServiceStep.RESTORING, said("stopping the failed one"))
            failed = tuple(c for c in watch.of_service(service) if not wanted[service].fits(c))
            await context.components.manager.stop_containers(context.environment, failed)
        await watch.refresh()

    async def _remove_everything(self, context: DeploymentContext, watch: ContainerWatch) -> OwnContainer | None:
        """Remove what there is, and return the bot, which stays: also one that is stopped and was not touched."""
        bot = await context.bot()
        if bot is None:
            touched = {one.service for one in context.deployment.services if one.step not in UNTOUCHED_STEPS}
            known = await find_running_bot(context.components, context.environment)
            if known is not None and known.service not in touched:  # else it is part of what failed
                bot = known
        own = frozenset() if bot is None else frozenset({bot.service})
        there = {container.service for container in watch.containers}
        there |= await context.components.engine.written_services(context.environment)
        for service in sorted(there - own):
            await context.components.manager.remove_service(context.environment, service, watch, context.report)
        return bot


async def _refuse_other_plan(context: DeploymentContext, target: Release) -> None:
    """Raise ImageChangedError where what was said yes to is not what would be done by now; nothing is changed then."""
    request = context.deployment.request
    deployment = context.deployment
    asked_for = deployment.request.kind is DeploymentKind.ROLLBACK and deployment.problem is None
    if not asked_for or request.plan_digest is None or deployment.touched:
        return
    asked = replace(request, target_release=target.number)
    require_same_plan(request, (await plan_rollback(context.components, context.environment, asked))[1])


async def _plan_restarts(context: DeploymentContext, services: frozenset[str]) -> None:
    """Record that services that are only restarted are changed too, so that they are verified."""
    known = {progress.service: progress for progress in context.deployment.services}
    await context.plan_services(
        replace(known.get(service, ServiceProgress(service)), changed=True) for service in sorted(services)
    )
