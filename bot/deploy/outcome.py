"""Write how a deployment ended, and say what a failed rollback leaves and what an operator has to do."""

from dataclasses import replace

from roas.checks.beside_compose import ToldAdvice, files_may_differ, is_advice
from roas.deploy.context import DeploymentContext, publish_end
from roas.deploy.data.backups import say_backups, with_half_restored
from roas.deploy.handover.stale_instances import remove_stale_instances
from roas.deploy.operations.scaling import scales_after
from roas.errors import DeploymentCancelledError, RoasError, TakenBackError
from roas.messages.message import joined, said
from roas.models.deployment import Deployment, DeploymentKind, Outcome, Problem
from roas.models.release import Release, ReleaseState

ASKED_BACK = frozenset({DeploymentCancelledError.key, TakenBackError.key})
# Outcomes before which what runs is looked at once more: stale instances are gone by then.
LOOKED_AT = frozenset({Outcome.SUCCEEDED, Outcome.ROLLED_BACK})


async def finish(
    context: DeploymentContext, outcome: Outcome, problem: Problem | None = None, *, active: Release | None = None
) -> Deployment:
    """Write the end and free the environment, in one transaction, then publish it on the bus.

    The engine is asked for nothing between the last look at what runs and the word that it is the release.
    """
    if problem is not None and outcome is Outcome.FAILED:
        problem = with_half_restored(problem, context.deployment)
    warnings = tuple(await _still_true(context, outcome, active))
    deployment = replace(context.deployment.ended(outcome, problem), warnings=warnings)
    if deployment.touched and outcome not in LOOKED_AT:
        await remove_stale_instances(context.own_service, context.fence)
    context.deployment = deployment
    await context.components.state.deployments.finish(
        deployment,
        context.fence,
        active=active,
        applied_model=deployment.applied_model,
        release_states=_release_states(deployment, outcome),
        scales=None if active is None else await scales_after(context, outcome, active),
    )
    publish_end(context.components.bus, deployment)
    return deployment


def _release_states(deployment: Deployment, outcome: Outcome) -> dict[int, ReleaseState]:
    """Return the final state of the release that a deployment created, by number.

    A rollback of all creates none, nor does what changes nothing of the release.
    """
    created = deployment.to_release not in {None, deployment.from_release}
    goes_back = deployment.request.kind is DeploymentKind.ROLLBACK and not deployment.request.services
    if deployment.to_release is None or not created or goes_back:
        return {}
    succeeded = outcome is Outcome.SUCCEEDED
    return {deployment.to_release: ReleaseState.SUCCEEDED if succeeded else ReleaseState.FAILED}


def is_put_back(deployment: Deployment) -> bool:
    """Return whether a rollback that somebody asked for has failed: what was well before it is brought back."""
    problem = deployment.problem
    is_rollback = deployment.request.kind is DeploymentKind.ROLLBACK
    return is_rollback and problem is not None and problem.key not in ASKED_BACK


def after_putting_back(problem: Problem, deployment: Deployment, release: Release) -> Problem:
    """Say on which release an environment is after a rollback that failed, and what of it was left."""
    name = deployment.environment
    left = ", ".join(
        sorted(progress.service for progress in deployment.services if progress.changed and progress.was_well is False)
    )
    hint = said(
        "{name} is on {release}: what was well before runs again. Fix the cause, then `/rollback {name}` or deploy.",
        name=name,
        release=release.label,
    )
    if left:
        stays = said("{services} was not well before, and stays as the rollback left it.", services=left)
        hint = joined(" ", (hint, stays))
    return replace(problem, hint=_after(problem.hint, hint))


def on_a_mixture(problem: Problem, name: str) -> Problem:
    """Say that parts of two releases may run."""
    hint = said(
        "{name} may run parts of two releases. Fix the cause, then `/rollback {name}` or deploy again.", name=name
    )
    return replace(problem, hint=_after(problem.hint, hint))


def _after(first: str, second: str) -> str:
    return joined("\n", (first, second)) if first else second


def rollback_failed(problem: Problem, error: RoasError, name: str, current: Release | None) -> Problem:
    """Report both faults, what made the rollback necessary and what stopped it, and name the current release."""
    failed = said("The rollback failed too: {message}", message=error.message)
    hint = said(
        "An operator is needed. {hint}\nThen run `/rollback {name}`, or `roas rollback {name}`.",
        hint=error.hint,
        name=name,
    )
    if current is not None:
        on = said("{name} is on {release}, and may run parts of another one.", name=name, release=current.label)
        hint = joined("\n", (hint, on))
    return Problem(
        key="rollback_failed",
        message=_after(problem.message, failed),
        hint=hint,
        service=error.service,
        report=error.report or problem.report,
    )


async def _still_true(context: DeploymentContext, outcome: Outcome, active: Release | None) -> list[str]:
    """Return what there is to say at the end: what the plan has advised is not said again, unless it went back."""
    warnings = [warning for warning in context.warnings if not is_advice(warning)]
    told = ToldAdvice(context.components.state.posts, context.environment.name)
    if outcome is Outcome.SUCCEEDED:
        await told.tell(context.warnings)
        return warnings
    warnings += say_backups(context)
    if active is not None and context.deployment.touched and context.stack.shares_with_compose:
        untold = await told.untold([files_may_differ(active.label, context.environment.name)])
        await told.tell(untold)
        warnings += untold
    return warnings
