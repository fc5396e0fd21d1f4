"""Find out where a rollback that failed leaves an environment, and say what an operator has to do."""

from dataclasses import replace

from roas.deployment.context import DeploymentContext
from roas.deployment.phases.preparation import load_release
from roas.errors import RoasError
from roas.messages.message import joined, said
from roas.models.coordination import PhaseName
from roas.models.deployment import PhaseStatus, Problem
from roas.models.release import Release

ALL_OF_IT_RUNS = said("all of it runs, and not all of it is well")


async def find_active(context: DeploymentContext) -> Release | None:
    """Return the release that a rollback which somebody asked for has brought up, or None where parts of two may run.

    That is the release which runs then, however its verification went: status, recovery and the next rollback go by it.
    """
    phase = context.deployment.phase(PhaseName.ROLLBACK)
    if phase is not None and phase.status is PhaseStatus.FAILED and await _runs_target(context):
        # The release before reads the summary.
        await context.save_phases(replace(phase, brought_up=True, summary=ALL_OF_IT_RUNS))
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
        and not service.unwritten
        for name, service in wanted.items()
    )


def on_unproven(problem: Problem, name: str, release: Release) -> Problem:
    """Say that all of a release runs, and that it failed."""
    hint = said(
        "{name} is on {release} now. Fix the cause, then `/rollback {name}` or deploy again.",
        name=name,
        release=release.label,
    )
    return replace(problem, hint=_after(problem.hint, hint))


def on_a_mixture(problem: Problem, name: str) -> Problem:
    """Say that parts of two releases may run."""
    hint = said(
        "{name} may run parts of two releases. Fix the cause, then `/rollback {name}` or deploy again.", name=name
    )
    return replace(problem, hint=_after(problem.hint, hint))


def _after(first: str, second: str) -> str:
    return joined("\n", (first, second)) if first else second


def rollback_failed(problem: Problem | None, error: RoasError, name: str) -> Problem:
    """Report both faults: what made the rollback necessary, and what stopped it."""
    failed = said("The rollback failed too: {message}", message=error.message)
    return Problem(
        key="rollback_failed",
        message=_after(problem.message, failed) if problem else failed,
        hint=said(
            "An operator is needed. {hint}\nThen run `/rollback {name}`, or `roas rollback {name}`.",
            hint=error.hint,
            name=name,
        ),
        service=error.service,
        report=error.report or (problem.report if problem else ""),
    )
