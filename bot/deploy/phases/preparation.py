"""Make the draft that is carried out: fetch and build all images, and pin the release to files and image IDs."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from roas.concurrency import begun
from roas.deploy.context import DeploymentContext
from roas.deploy.draft import load_release, make_draft, make_release, planned_deployment
from roas.deploy.kept_plans import PlannedDeployment
from roas.deploy.new_powers import has_approvers, refuse_ungranted
from roas.deploy.planning.planner import Planner
from roas.deploy.proxy_changes import refuse_broken_proxies, with_proxies
from roas.errors import InvalidRequestError, ReleaseNotRestorableError, RoasError
from roas.limits import PREPARE_MONITORING_TIMEOUT_SECONDS
from roas.messages.message import said
from roas.models.deployment import DeploymentKind, ServiceProgress
from roas.models.phases import PhaseName
from roas.models.plan import Plan, ServiceAction
from roas.models.release import Release
from roas.stack.image_supply import obtain_images
from roas.stack.interface import PinnedStack, ResolvedStack


class Preparation:
    """Pull, build and prepare monitoring at the same time; only the last may fail with a warning."""

    name = PhaseName.PREPARATION

    async def run(self, context: DeploymentContext) -> str:
        """Return the release that was drafted, or the one that this deployment changes nothing of."""
        if context.deployment.request.kind is DeploymentKind.ROLLBACK:
            release = await _prepare_rollback(context)
            return said("{release} is to run again", release=release.label)
        release = await _prepare_release(context)
        if release.number == context.deployment.from_release:
            return said("{release} stays the release: nothing of it changes", release=release.label)
        return said(
            "release {release} is made of {services} {services|service|services}",
            release=release.label,
            services=len(release.services),
        )


async def _prepare_release(context: DeploymentContext) -> Release:
    """Draft the release, or take up the draft of an earlier attempt."""
    deployment = context.deployment
    if deployment.to_release is not None and not deployment.asks:
        return await load_release(context)
    planner = Planner(context.components, context.environment)
    of_plan = await planned_deployment(context) or await planner.deployment(deployment.request, keep=True)
    if deployment.to_release is None:
        refuse_ungranted(deployment.request, of_plan.plan, has_approvers=has_approvers(context.components))
        await _draft_release(context, of_plan)
    release = await load_release(context)
    if context.deployment.asks:
        plan = await planner.of_draft(deployment.request, of_plan, release)
        draft = context.deployment.draft
        if draft is not None and draft.replaces is not None:  # what the approver sees
            await context.update(draft=replace(draft, replaces=plan.replaced))
        await context.components.state.drafts.put_plan(context.deployment, plan, context.fence)
    return release


async def _draft_release(context: DeploymentContext, of_plan: PlannedDeployment) -> None:
    """Fetch everything that the new release needs, and make it."""
    for warning in of_plan.plan.warnings:
        context.warn(warning)
    progress = (
        ServiceProgress(
            service=plan.service,
            old_image=plan.old_image,
            new_image=plan.new_image,
            changed=plan.action is not ServiceAction.KEEP,
        )
        for plan in of_plan.plan.services
    )
    await context.plan_services(progress)
    if context.environment.signatures is not None:  # the settings may ask for more than when it was planned
        await context.components.stacks.verify_images(context.environment, of_plan.wanted)
    resolved = await of_plan.load_stack(context.stack)
    async with begun(_prepare_monitoring(context)) as monitoring:
        images = await context.run_unless_cancelled(_obtain(context, resolved))
        await _check_obtained(context, of_plan.plan, resolved, images)
        pinned = await context.stack.releases.pin(
            resolved, images, kept_from=of_plan.current, kept_services=of_plan.kept
        )
        await make_release(context, of_plan, pinned)
        await context.stack.images.discard_builds(of_plan.built)
        await context.run_unless_cancelled(monitoring)


async def _obtain(context: DeploymentContext, resolved: ResolvedStack) -> dict[str, str]:
    """Pull and build; a hotfix takes a built image only as it is here."""
    builds, wanted = context.coordination.builds, resolved.wanted
    if not builds and (
        unbuilt := sorted(name for name, image in wanted.items() if image.build_hash and not image.image_id)
    ):
        raise InvalidRequestError(
            said(
                "A hotfix builds nothing, and the image of {unbuilt} would have to be built.",
                unbuilt=", ".join(unbuilt),
            ),
            hint=said("Use /deploy, or push the image to a registry first."),
        )
    return dict(await obtain_images(context.stack.images, resolved, context.report, builds=builds))


async def _check_obtained(
    context: DeploymentContext, plan: Plan, resolved: ResolvedStack, images: Mapping[str, str]
) -> None:
    """Check what could not be checked for the plan: the proxies whose image was not here."""
    late = {name: image for name, image in images.items() if image != resolved.wanted[name].image_id}
    if with_proxies(context.stack, resolved.model):
        await refuse_broken_proxies(context.stack, plan, resolved.model, late)


async def _prepare_monitoring(context: DeploymentContext) -> None:
    if not context.coordination.prepares_monitoring:
        return
    try:
        async with asyncio.timeout(PREPARE_MONITORING_TIMEOUT_SECONDS):
            for warning in await context.components.monitoring.prepare_monitoring_stack(context.environment):
                context.warn(warning)
    except RoasError as error:
        context.warn(said("Monitoring could not be prepared: {message}", message=error.message))
    except TimeoutError:
        context.warn(
            said(
                "Monitoring was not prepared within {seconds} s.",
                seconds=f"{PREPARE_MONITORING_TIMEOUT_SECONDS:g}",
            )
        )


async def _prepare_rollback(context: DeploymentContext) -> Release:
    """Draft the release that comes back, with the credentials of the plan; what was pruned of it is pulled."""
    deployment, releases = context.deployment, context.components.state.releases
    number = deployment.to_release
    target = None if number is None else await releases.get(context.environment.name, number)
    if target is None:
        raise ReleaseNotRestorableError(said("There is no release r{number}.", number=number))
    of_plan = await planned_deployment(context)
    if of_plan is None or of_plan.target is None or deployment.touched:  # begun by the release before
        return target
    if deployment.draft is not None:  # by an earlier attempt
        return target
    refuse_ungranted(deployment.request, of_plan.plan, has_approvers=has_approvers(context.components))
    for warning in of_plan.plan.warnings:
        context.warn(warning)
    services, back = deployment.request.services, of_plan.target
    changed = frozenset(services) or {plan.service for plan in of_plan.plan.changed}
    await context.keeper.require_images(target, changed, context.report)
    if services:  # all else stays: it is another release
        return await make_release(context, of_plan, PinnedStack(back.version, back.services, back.model_hash))
    draft = await make_draft(context, of_plan, back.model_hash)
    await context.update(applied_model=back.model_hash, draft=draft)
    return target
