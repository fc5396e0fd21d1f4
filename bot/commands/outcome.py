"""Show how a deployment ended, and what to do where it did not end well."""

from roas.commands.error_output import describe
from roas.commands.formatting import release
from roas.commands.terminal import Terminal
from roas.models.deployment import Deployment, Outcome, PhaseStatus
from roas.ui.quantities import duration

STYLES = {
    Outcome.SUCCEEDED: "bold green",
    Outcome.ROLLED_BACK: "bold yellow",
    Outcome.CANCELLED: "bold",
    Outcome.FAILED: "bold red",
}


def show_outcome(terminal: Terminal, deployment: Deployment) -> None:
    """Write the outcome in one line, then the warnings, then the fault and what to do about it."""
    if deployment.outcome is None:
        return
    text = _text(deployment, deployment.outcome)
    terminal.say(text, style=STYLES[deployment.outcome])
    for warning in deployment.warnings:
        terminal.say(warning, lead=("warning: ", "yellow"))
    if deployment.problem is not None and deployment.outcome is not Outcome.CANCELLED:
        describe(terminal, deployment.problem)


def _text(deployment: Deployment, outcome: Outcome) -> str:
    took = f" in {duration(deployment.duration_seconds)}" if deployment.duration_seconds is not None else ""
    match outcome:
        case Outcome.SUCCEEDED:
            return f"{deployment.id} succeeded{took}: {deployment.environment} is on {release(deployment.to_release)}."
        case Outcome.ROLLED_BACK:
            return f"{deployment.id} was rolled back{took}: {_back(deployment)}."
        case Outcome.CANCELLED:
            by = f" by {deployment.cancel_requested_by.name}" if deployment.cancel_requested_by else ""
            return f"{deployment.id} was cancelled{by}{took}: {_back(deployment)}."
        case Outcome.FAILED:
            return f"{deployment.id} failed{took}.{_where(deployment)}"


def _back(deployment: Deployment) -> str:
    if deployment.from_release is None:
        return f"{deployment.environment} is as it was before"
    return f"{deployment.environment} is on {release(deployment.from_release)}"


def _where(deployment: Deployment) -> str:
    failed = [phase.name.value for phase in deployment.phases if phase.status is PhaseStatus.FAILED]
    return f" It did not get through {' and '.join(failed)}." if failed else ""
