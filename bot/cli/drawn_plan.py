"""Write on a terminal what a plan changes, and how a deployment ended."""

import shlex
from collections.abc import Sequence

from roas.cli.output import Terminal, add_row, describe, image, make_table, release
from roas.models.deployment import Deployment, Outcome, PhaseStatus
from roas.models.plan import Plan, ServiceAction, ServicePlan
from roas.ui.units import aligned, duration

HEADERS = ("service", "action", "old image", "new image", "changed configuration")
MAYBE = "A question mark: only if the image that is pulled or built is another one than before."
ACTION_STYLES = {
    ServiceAction.CREATE: "green",
    ServiceAction.RECREATE: "yellow",
    ServiceAction.RESTART: "yellow",
    ServiceAction.START: "yellow",
    ServiceAction.ADJUST: "yellow",
    ServiceAction.RELOAD: "yellow",
    ServiceAction.REMOVE: "red",
    ServiceAction.STOP: "red",
    ServiceAction.KEEP: "dim",
}
DIFF_STYLES = {"-": "red", "+": "green", "@": "cyan", " ": ""}
OUTCOME_STYLES = {
    Outcome.SUCCEEDED: "bold green",
    Outcome.ROLLED_BACK: "bold yellow",
    Outcome.CANCELLED: "bold",
    Outcome.FAILED: "bold red",
}


def show_plan(terminal: Terminal, plan: Plan) -> None:
    """Write the plan as a table: per service what happens, old and new image, and the keys that change."""
    goal = release(plan.to_release) if plan.to_release is not None else "a new release"
    if plan.promoted_from:
        goal = f"{release(plan.promoted_release)} of {plan.promoted_from}"
    version = f" ({plan.version})" if plan.version else ""
    terminal.say(f"Plan for {plan.environment}: {release(plan.from_release)} → {goal}{version}")
    _show_services(terminal, plan.services)
    unchanged = "No service changes." if plan.diff else "Nothing changes."
    terminal.say(f"Order: {' → '.join(plan.order)}" if plan.order else unchanged)
    for service in plan.changed:
        for reason in service.reasons:
            terminal.say(f"{service.service}: {reason}")
    for line in plan.diff:
        terminal.say(line, style=DIFF_STYLES.get(line[:1], "bold" if line.endswith(":") else "yellow"))
    for power, reading in zip(plan.new_powers, plan.read(plan.new_powers), strict=True):
        terminal.say(f"{reading} (grant it: --grant {shlex.quote(power)})", lead=("new power: ", "yellow"))
    told = [("data", line) for line in plan.data] + [("promotion", line) for line in plan.promotion]
    for subject, line in told:
        terminal.say(line, lead=(f"{subject}: ", "cyan"))
    if plan.refused:
        terminal.say("As things are, this is refused, and nothing is changed:", style="bold red")
    for refusal in plan.refused:
        terminal.say(refusal, lead=("refused: ", "red"))
    for warning in plan.cautions:
        terminal.say(warning, lead=("warning: ", "yellow"))


def _show_services(terminal: Terminal, services: Sequence[ServicePlan]) -> None:
    rows = [_row(service) for service in services]
    if not terminal.draws:
        for line in aligned([HEADERS, *rows]):
            terminal.say(line)
    else:
        table = make_table(*HEADERS)
        for service, cells in zip(services, rows, strict=True):
            add_row(table, cells, ("", ACTION_STYLES[service.action]))
        terminal.talk.print(table)
    if any(service.if_image_differs for service in services):
        terminal.say(MAYBE)


def _row(service: ServicePlan) -> tuple[str, ...]:
    action = f"{service.action} (start-first)" if service.start_first else str(service.action)
    action = f"{action}?" if service.if_image_differs else action
    new = service.new_image
    if new is not None and new == service.old_image and service.action is ServiceAction.RECREATE:
        content = "is built, then compared" if service.is_built else image(service.expected_image)
        new = f"{new} → {content}" if not service.changed_keys else new
    return service.service, action, image(service.old_image), image(new), ", ".join(service.changed_keys)


def show_outcome(terminal: Terminal, deployment: Deployment) -> None:
    """Write the outcome in one line, then the warnings, then the fault and what to do about it."""
    if deployment.outcome is None:
        return
    text = _text(deployment, deployment.outcome)
    terminal.say(text, style=OUTCOME_STYLES[deployment.outcome])
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
            why = f" ({deployment.cancel_reason})" if deployment.cancel_reason else ""
            return f"{deployment.id} was cancelled{by}{why}{took}: {_back(deployment)}."
        case Outcome.FAILED:
            return f"{deployment.id} failed{took}.{_where(deployment)}"


def _back(deployment: Deployment) -> str:
    if deployment.from_release is None:
        return f"{deployment.environment} is as it was before"
    return f"{deployment.environment} is on {release(deployment.from_release)}"


def _where(deployment: Deployment) -> str:
    if deployment.was_put_back:
        return f" {_back(deployment)}: what was well before runs again."
    failed = [phase.name.value for phase in deployment.phases if phase.status is PhaseStatus.FAILED]
    return f" It did not get through {' and '.join(failed)}." if failed else ""
