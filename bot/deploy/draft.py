"""The drafted release: what is carried out, and what has to be there as it was when it was drafted."""

from collections.abc import Collection

from roas.deploy.changes import StackChanges
from roas.deploy.context import SOURCE, DeploymentContext, publish_end
from roas.deploy.kept_plans import ASK_AGAIN, KeptPlans, PlannedDeployment, say_changed
from roas.deploy.new_powers import has_approvers, ungranted, ungranted_of_builds
from roas.errors import DraftVoidError, InvalidRequestError, ReleaseNotRestorableError, RoasError
from roas.events import EventBus
from roas.messages.message import said
from roas.models.deployment import NOTHING_YET, Deployment, DeploymentKind, Draft
from roas.models.events import ApprovalChanged, ReleaseCreated, origin
from roas.models.plan import PlanState
from roas.models.release import Release, ReleaseState
from roas.stack.interface import PinnedStack


async def make_draft(context: DeploymentContext, planned: PlannedDeployment, model_hash: str) -> Draft:
    """Return the draft of a model, and what is there beside it."""
    stack, current = context.stack, planned.current
    model = await stack.load_model(model_hash)
    is_first = current is None or current.state is ReleaseState.ADOPTED
    is_first = is_first and context.deployment.request.operation is None
    return Draft(
        model_hash,
        from_model="" if current is None else current.model_hash,
        inputs=await stack.releases.hash_inputs(model),
        replaces=None if is_first else planned.plan.replaced,
        beside=await stack.probe().networks_and_volumes(model),
        new_powers=ungranted(context.deployment.request, planned.plan),
    )


async def planned_deployment(context: DeploymentContext) -> PlannedDeployment | None:
    """Return the plan that was confirmed, with all that it was made of; None where nobody was shown one.

    Raises ImageChangedError where it is not kept any more, or what it was made beside changed.
    """
    digest = context.deployment.request.plan_digest
    if context.planned is None and digest is not None:
        plans = KeptPlans(context.components)
        found = await plans.find(digest)
        context.planned = await plans.require_current(context.environment, found)
    return context.planned


async def make_release(context: DeploymentContext, planned: PlannedDeployment, pinned: PinnedStack) -> Release:
    """Make the release that is carried out; what changes nothing of the current one makes none.

    Whoever deploys the same again and again keeps the releases that differ, and so the way back.
    """
    components, deployment, current = context.components, context.deployment, planned.current
    await components.state.locks.check(context.fence)
    draft = await make_draft(context, planned, pinned.model_hash)
    is_new = current is None or current.model_hash != pinned.model_hash
    if current is not None and not is_new:
        release = current
        await context.keeper.note_files(current, pinned)
    else:
        release = await context.keeper.create_release(
            pinned,
            deployment.request.requested_by,
            deployment_id=deployment.id,
            correlation_id=deployment.correlation_id,
        )
    await context.update(to_release=release.number, applied_model=pinned.model_hash, draft=draft)
    if is_new:
        context.publish(ReleaseCreated(release=release.number, **context.origin))
    return release


async def load_release(context: DeploymentContext) -> Release:
    """Read the release that the deployment leads to from the journal, where it is not known already."""
    number, release = context.deployment.to_release, context.release
    if release is not None and release.number != number:
        release = None
    if release is None and number is not None:
        release = await context.components.state.releases.get(context.environment.name, number)
    if release is None:
        raise InvalidRequestError(said("{deployment} leads to no release.", deployment=context.deployment.id))
    context.release = release
    context.model_hash = context.deployment.applied_model or release.model_hash
    return release


async def asks_before_the_build(context: DeploymentContext) -> bool:
    """Note which powers that nobody granted a build would use; returns whether a second person is asked for them."""
    request = context.deployment.request
    if context.deployment.draft is not None or context.deployment.to_release is not None:
        return False
    if request.interaction_id is None or request.plan_digest is None or not has_approvers(context.components):
        return False
    planned = await KeptPlans(context.components).find(request.plan_digest)
    powers = ungranted_of_builds(request, planned.plan, await planned.load_model(context.stack))
    if powers and request.kind is DeploymentKind.DEPLOY:
        await context.update(draft=Draft(NOTHING_YET, new_powers=powers))
    return context.deployment.draft is not None


async def wait_for_approval(context: DeploymentContext) -> None:
    """Let a deployment wait, without holding its environment, until a second person approves its draft."""
    drafts = context.components.state.drafts
    context.deployment, void = await drafts.wait_for_approval(context.deployment, context.fence)
    _announce(context, PlanState.DRAFTED)
    for deployment in void:
        announce_end(context.components.bus, deployment)


async def take_up_draft(context: DeploymentContext) -> None:
    """Require that an approved draft can be carried out as it is. Raises DraftVoidError."""
    deployment = context.deployment
    if deployment.draft is None or deployment.request.approved_by is None or deployment.touched:
        return
    why = await _find_change(context, deployment.draft)
    await context.components.state.drafts.conclude(deployment, why)
    _announce(context, PlanState.VOID if why else PlanState.STARTED)
    if why:
        raise DraftVoidError(why, hint=ASK_AGAIN)


async def _find_change(context: DeploymentContext, draft: Draft) -> str:
    """Say why a draft is void; empty where it is not. The files are not looked at: the draft has copies."""
    components, environment, stack = context.components, context.environment, context.stack
    current = await components.state.releases.applied(environment.name)
    if draft.from_model != ("" if current is None else current.model_hash):
        now = said("no release") if current is None else current.label
        return said(
            "{environment} is on another release than when this was planned: {release}.",
            environment=environment.name,
            release=now,
        )
    try:
        model = await stack.load_model(draft.model_hash)
        release = await load_release(context)
        if changed := say_changed(draft.inputs, await stack.releases.hash_inputs(model)):
            return changed
        await stack.releases.check(draft.model_hash)
        if gone := await stack.releases.missing_images(release):
            return said("The images of {services} are gone.", services=", ".join(gone))
    except ReleaseNotRestorableError as error:
        return error.message
    except RoasError as error:
        if error.transient:
            raise
        return error.message
    there = await stack.probe().networks_and_volumes(model)
    if other := sorted(name for name in {*there, *draft.beside} if there.get(name) != draft.beside.get(name)):
        return said("{names} changed since this was planned.", names=", ".join(other))
    return ""


def refuse_unplanned(context: DeploymentContext, changes: StackChanges, stays: Collection[str] = ()) -> None:
    """Raise DraftVoidError where a container would be replaced or removed of which the plan says nothing.

    A start or a restart is no surprise to whoever confirmed it.
    """
    draft = context.deployment.draft
    if draft is None or draft.replaces is None or context.deployment.touched or context.failed:
        return
    replaced = {name for name, difference in changes.differing.items() if difference.unlike} | changes.gone
    if changes.own is not None and changes.own.unlike:
        replaced.add(changes.own.service)
    if other := sorted(replaced - {*draft.replaces, *stays}):
        raise DraftVoidError(
            said("{names} changed since this was planned.", names=", ".join(other)),
            hint=ASK_AGAIN,
        )


def announce_end(bus: EventBus, deployment: Deployment) -> None:
    """Publish that a deployment that waited for its approval is over."""
    plan_id = deployment.request.interaction_id or ""
    bus.publish(ApprovalChanged(plan_id=plan_id, state=PlanState.VOID.value, **origin(deployment, SOURCE)))
    publish_end(bus, deployment)


def _announce(context: DeploymentContext, state: PlanState) -> None:
    plan_id = context.deployment.request.interaction_id or ""
    context.publish(ApprovalChanged(plan_id=plan_id, state=state.value, **context.origin))
