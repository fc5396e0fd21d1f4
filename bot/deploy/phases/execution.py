"""Move the environment to the new release, each service as soon as its own dependencies are ready."""

from dataclasses import replace

from roas.deploy.applier import Applier
from roas.deploy.changes import StackChanges, begun_services, find_changes, replaced_before
from roas.deploy.context import DeploymentContext
from roas.deploy.data.backups import back_up_first, save_data
from roas.deploy.draft import load_release, refuse_unplanned
from roas.deploy.handover.replacement import replace_bot_if_needed
from roas.deploy.operations.operations import keep_what_runs, stop_services
from roas.deploy.own_service import refuse_without_bot, replicas_by_service
from roas.messages.message import said
from roas.models.deployment import Operation, ServiceProgress, ServiceStep
from roas.models.facts import OwnContainer
from roas.models.phases import PhaseName
from roas.stack.containers.readiness import Readiness, judge_readiness
from roas.stack.containers.watch import ContainerWatch

NOT_TOUCHED_YET = frozenset({ServiceStep.PENDING, ServiceStep.PULLED, ServiceStep.BUILT})


class Execution:
    """Apply the release; what runs already as it says is left alone, so that it can be done again after a crash."""

    name = PhaseName.EXECUTION

    async def run(self, context: DeploymentContext) -> str:
        """Return how many services were changed."""
        if context.deployment.request.operation is Operation.STOP:
            return await stop_services(context)
        if context.deployment.request.operation is Operation.KEEP:
            return await keep_what_runs(context)
        if context.deployment.request.operation is Operation.SAVE:
            return await save_data(context, await load_release(context))
        release = await load_release(context)
        await back_up_first(context, await context.definitions(context.model_hash or release.model_hash))
        async with context.watching() as watch:
            await self._apply(context, watch, context.model_hash or release.model_hash)
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
        known = bot or await context.own_service.known_bot()
        refuse_without_bot(known, replicas_by_service(definitions), context.release_label)
        changes = await self._changes(context, watch, model_hash, bot)
        refuse_unplanned(context, changes)
        to_do = frozenset(changes.differing) | changes.restarts
        own = frozenset() if bot is None else frozenset({bot.service})
        kept = frozenset(definitions) - to_do - own
        starting = frozenset(
            name
            for name in kept - changes.done - changes.skipped
            if judge_readiness(definitions[name], watch.of_service(name)).state is Readiness.WAITING
        )
        left = await _left_by_a_failure(context) & (kept | own)
        await _plan_services(context, to_do | changes.gone, kept, starting, left)
        context.checkpoint()
        lacking = sorted(name for name in changes.differing if not watch.of_service(name))
        if lacking:  # in as few calls of Compose as can be
            await context.report_all(lacking, ServiceStep.CREATING)
            watch.add(await context.stack.create_missing(model_hash, to_do))
            context.checkpoint()
        applier = Applier(context, watch, definitions, model_hash, changes.restarts)
        after_ourselves = applier.coordinator.dependents(own)
        # A Swarm replaces this bot like any other service. The other one, which it gives the lead then, goes on.
        last = to_do & await context.stack.own_services() if context.stack.replaces_by_itself else frozenset()
        await applier.apply_all(to_do - after_ourselves - last)
        if not (named := frozenset(context.deployment.request.services)) or own & named:
            await replace_bot_if_needed(context, watch, model_hash, bot)
        await applier.apply_all(to_do & after_ourselves)
        for service in sorted(changes.gone):
            context.checkpoint()
            before = await context.definition_before(service)
            context.allow_drain(before)
            await manager.remove_service(context.stack, service, watch, context.report, before)
        await applier.apply_all(last)
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


async def _left_by_a_failure(context: DeploymentContext) -> frozenset[str]:
    """Return what a deployment that failed left as this release has it, and no release that stood."""
    state, name = context.components.state, context.environment.name
    _, left = await state.deployments.left_by_failure(name)
    release, stood = await load_release(context), await state.releases.current(name)
    changed = {service.name for service in release.services if stood is None or stood.service(service.name) != service}
    return left & changed


async def _plan_services(
    context: DeploymentContext,
    changed: frozenset[str],
    kept: frozenset[str],
    starting: frozenset[str],
    left: frozenset[str],
) -> None:
    """Write which services this run touches; an earlier attempt's record of a service is not lost.

    One that was to be changed and is `starting`, since somebody else has just made it so, has yet to be verified. So
    has what was `left` by a deployment that failed.
    """
    known = context.deployment.by_service
    planned = []
    for service in sorted(changed | kept | left):
        old = known.get(service, ServiceProgress(service))
        if service in changed and not old.changed:
            planned.append(ServiceProgress(service, old_image=old.old_image, changed=True))
        if service not in changed and old.step in NOT_TOUCHED_YET:
            is_unverified = service in left or (old.changed and service in starting)
            step = ServiceStep.WAITING if is_unverified else ServiceStep.UNCHANGED
            planned.append(replace(old, step=step, changed=is_unverified))
    await context.plan_services(planned)  # with the first intent
