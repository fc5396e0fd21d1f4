"""Fetch everything that the new release needs, and make the release."""

import asyncio
from collections.abc import Mapping

from roas.concurrency import begun
from roas.deployment.candidate import Candidate
from roas.deployment.context import DeploymentContext
from roas.deployment.planning import plan_deployment, require_same_plan
from roas.deployment.proxy_changes import refuse_broken_proxies, with_proxies
from roas.errors import InvalidRequestError, RoasError
from roas.messages.message import said
from roas.models.coordination import PREPARE_MONITORING_TIMEOUT_SECONDS, PhaseName
from roas.models.deployment import ServiceProgress
from roas.models.events import ReleaseCreated
from roas.models.plan import ServiceAction
from roas.models.release import Release


class Preparation:
    """Pull, build and prepare monitoring at the same time; only the last may fail with a warning."""

    name = PhaseName.PREPARATION

    async def run(self, context: DeploymentContext) -> str:
        """Return the release that was made, or the one that this deployment changes nothing of."""
        release = await prepare_release(context)
        if release.number == context.deployment.from_release:
            return said("{release} stays the release: nothing of it changes", release=release.label)
        return said(
            "release {release} is made of {services} services", release=release.label, services=len(release.services)
        )


async def prepare_release(context: DeploymentContext) -> Release:
    """Create the release, or resume the one that an earlier attempt created.

    A hotfix does this within its execution, without building and without preparing monitoring.
    """
    if context.deployment.to_release is not None:
        return await load_release(context)
    candidate = await _candidate(context)
    planned = (
        ServiceProgress(
            service=plan.service,
            old_image=plan.old_image,
            new_image=plan.new_image,
            changed=plan.action is not ServiceAction.KEEP,
        )
        for plan in candidate.plan.services
    )
    await context.plan_services(planned)
    async with begun(_prepare_monitoring(context)) as monitoring:
        images = await context.run_unless_cancelled(_obtain(context, candidate))
        await _check_obtained(context, candidate, images)
        release = await _make_release(context, candidate, images)
        built = [one.build_hash for one in candidate.wanted.values() if one.build_hash is not None]
        await context.stack.discard_builds(built)
        await context.run_unless_cancelled(monitoring)
    return release


async def load_release(context: DeploymentContext) -> Release:
    """Read the release that the deployment leads to from the journal, where it is not known already."""
    number, release = context.deployment.to_release, context.release
    if release is not None and release.number != number:
        release = None
    if release is None and number is not None:
        release = await context.components.state.releases.get(context.environment.name, number)
    if release is None:
        raise InvalidRequestError(
            said("{deployment} leads to no release.", deployment=context.deployment.id), hint=said("Deploy again.")
        )
    context.release = release
    context.model_hash = context.deployment.applied_model or release.model_hash
    return release


async def _candidate(context: DeploymentContext) -> Candidate:
    """Return what is deployed: what was planned a moment ago to be started, once, or what is planned now."""
    components, environment, request = context.components, context.environment, context.deployment.request
    planned, context.planned = context.planned, None
    current = await components.state.releases.applied(environment.name)
    if planned is not None and planned.is_fresh and planned.candidate.current == current:
        candidate = planned.candidate
    else:
        candidate = await plan_deployment(components, environment, request, write_contents=True)
    require_same_plan(request, candidate.plan)
    for warning in candidate.plan.warnings:
        context.warn(warning)
    return candidate


async def _obtain(context: DeploymentContext, candidate: Candidate) -> dict[str, str]:
    """Pull and build; a hotfix takes a built image only as it is here."""
    builds = context.coordination.builds
    wanted = candidate.wanted
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
    manager = context.components.manager
    return dict(await manager.obtain_images(context.stack, candidate.stack, wanted, context.report, builds=builds))


async def _check_obtained(context: DeploymentContext, candidate: Candidate, images: Mapping[str, str]) -> None:
    """Check what could not be checked for the plan: the proxies whose image was not here."""
    stack = candidate.stack
    late = {name: image for name, image in images.items() if image != candidate.wanted[name].image_id}
    if with_proxies(context.stack, stack.model):
        await refuse_broken_proxies(context.stack, candidate.plan, stack.model, late)


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


async def _make_release(context: DeploymentContext, candidate: Candidate, images: dict[str, str]) -> Release:
    components, deployment = context.components, context.deployment
    await components.state.locks.check(context.fence)
    draft = await context.stack.draft_release(
        candidate.stack, images, kept_from=candidate.current, kept_services=candidate.kept
    )
    current = candidate.current
    if current is not None and current.model_hash == draft.model_hash:
        # Whoever deploys the same again and again keeps the releases that differ, and so the way back.
        await context.update(to_release=current.number, applied_model=draft.model_hash)
        context.release, context.model_hash = current, draft.model_hash
        return current
    release = await components.manager.releases.create_release(
        draft,
        context.stack,
        deployment.request.requested_by,
        context.fence,
        deployment_id=deployment.id,
        correlation_id=deployment.correlation_id,
    )
    await context.update(to_release=release.number, applied_model=release.model_hash)
    context.release, context.model_hash = release, release.model_hash
    context.publish(ReleaseCreated(release=release.number, **context.origin))
    return release
