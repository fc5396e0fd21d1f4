"""Show what a deployment would change, before anything is touched."""

from collections.abc import Sequence

from roas.commands.formatting import image, release
from roas.commands.tables import add_row, make_table
from roas.commands.terminal import Terminal
from roas.models.plan import Plan, ServiceAction, ServicePlan

HEADERS = ("service", "action", "old image", "new image", "changed configuration")
STYLES = {
    ServiceAction.CREATE: "green",
    ServiceAction.RECREATE: "yellow",
    ServiceAction.RESTART: "yellow",
    ServiceAction.START: "yellow",
    ServiceAction.ADJUST: "yellow",
    ServiceAction.REMOVE: "red",
    ServiceAction.KEEP: "dim",
}


def show_plan(terminal: Terminal, plan: Plan) -> None:
    """Write the plan as a table: per service what happens, old and new image, and the keys that change."""
    goal = release(plan.to_release) if plan.to_release is not None else "a new release"
    version = f" ({plan.version})" if plan.version else ""
    terminal.say(f"Plan for {plan.environment}: {release(plan.from_release)} → {goal}{version}")
    _show_services(terminal, plan.services)
    terminal.say(f"Order: {' → '.join(plan.order)}" if plan.order else "Nothing changes.")
    for service in plan.changed:
        for reason in service.reasons:
            terminal.say(f"{service.service}: {reason}")
    if plan.refusals:
        terminal.say("As things are, this is refused, and nothing is changed:", style="bold red")
    for refusal in plan.refusals:
        terminal.say(refusal, lead=("refused: ", "red"))
    for warning in plan.cautions:
        terminal.say(warning, lead=("warning: ", "yellow"))


def _show_services(terminal: Terminal, services: Sequence[ServicePlan]) -> None:
    rows = [_row(service) for service in services]
    if not terminal.draws:
        widths = [max(map(len, cells)) for cells in zip(HEADERS, *rows, strict=True)]
        for cells in (HEADERS, *rows):
            terminal.say("  ".join(map(str.ljust, cells, widths)).rstrip())
        return

    table = make_table(*HEADERS)
    for service, cells in zip(services, rows, strict=True):
        add_row(table, cells, ("", STYLES[service.action]))
    terminal.talk.print(table)


def _row(service: ServicePlan) -> tuple[str, ...]:
    action = f"{service.action} (start-first)" if service.start_first else str(service.action)
    action = f"{action}?" if service.if_image_differs else action
    new = service.new_image
    if new is not None and new == service.old_image and service.action is ServiceAction.RECREATE:
        new = f"{new} → {image(service.expected_image)}" if not service.changed_keys else new
    return service.service, action, image(service.old_image), image(new), ", ".join(service.changed_keys)
