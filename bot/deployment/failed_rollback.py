"""Find out where a rollback that failed leaves an environment, and say what an operator has to do."""

from dataclasses import replace

from roas.deployment.context import DeploymentContext
from roas.deployment.phases.preparation import load_release
from roas.errors import RoasError
from roas.models.coordination import PhaseName
from roas.models.deployment import PhaseStatus, Problem
from roas.models.release import Release


async def find_active(context: DeploymentContext) -> Release | None:
    """Return the release that a rollback which somebody asked for has brought up, or None where parts of two may run.

    That is the release which runs then, however its verification went: status, recovery and the next rollback go by it.
    """
    phase = context.deployment.phase(PhaseName.ROLLBACK)
    if phase is not None and phase.status is PhaseStatus.FAILED and await _runs_target(context):
        # The release before reads the summary.
        await context.save_phase(replace(phase, brought_up=True, summary="all of it runs, and not all of it is well"))
    return (context.release or await load_release(context)) if context.deployment.brought_back else None


async def _runs_target(context: DeploymentContext) -> bool:
    """Return whether the containers of every service are those of the release that was to be brought back."""
    engine, environment = context.components.engine, context.environment
    try:
        model = await engine.load_model(context.deployment.applied_model or "")
        wanted = await engine.wanted_services(environment, model)
        there = await engine.containers(environment)
    except RoasError:
        return False
    return all(
        sum(one.service == name and service.fits(one) for one in there) >= service.definition.replicas
        for name, service in wanted.items()
    )


def on_unproven(problem: Problem, name: str, release: Release) -> Problem:
    """Say that all of a release runs, and that it failed."""
    hint = f"{name} is on {release.label} now. Fix the cause, then `/rollback {name}` or deploy again."
    return replace(problem, hint=f"{problem.hint}\n{hint}".strip())


def on_a_mixture(problem: Problem, name: str) -> Problem:
    """Say that parts of two releases may run."""
    hint = f"{name} may run parts of two releases. Fix the cause, then `/rollback {name}` or deploy again."
    return replace(problem, hint=f"{problem.hint}\n{hint}".strip())


def rollback_failed(problem: Problem | None, error: RoasError, name: str) -> Problem:
    """Report both faults: what made the rollback necessary, and what stopped it."""
    first = f"{problem.message}\n" if problem else ""
    return Problem(
        key="rollback_failed",
        message=f"{first}The rollback failed too: {error.message}",
        hint=f"An operator is needed. {error.hint}\nThen run `/rollback {name}`, or `roas rollback {name}`.",
        service=error.service,
        report=error.report or (problem.report if problem else ""),
    )
