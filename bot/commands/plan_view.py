"""Show what a deployment would change, before anything is touched."""

from rich.table import Table
from rich.text import Text

from roas.commands.formatting import image, release
from roas.commands.terminal import Terminal, printable
from roas.models.plan import Plan, ServiceAction, ServicePlan

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
    table = Table("service", "action", "old image", "new image", "changed configuration", box=None, pad_edge=False)
    for service in plan.services:
        table.add_row(*_row(service))
    terminal.talk.print(table)
    terminal.say(f"Order: {' → '.join(plan.order)}" if plan.order else "Nothing changes.")
    for service in plan.changed:
        for reason in service.reasons:
            terminal.say(Text(printable(f"{service.service}: {reason}")))
    if plan.refusals:
        terminal.say(Text("As things are, this is refused, and nothing is changed:", style="bold red"))
    for refusal in plan.refusals:
        terminal.say(Text("refused: ", style="red") + Text(printable(refusal), style="default"))
    for warning in plan.cautions:
        terminal.say(Text("warning: ", style="yellow") + Text(printable(warning), style="default"))


def _row(service: ServicePlan) -> tuple[Text, ...]:
    style = STYLES[service.action]
    action = f"{service.action} (start-first)" if service.start_first else str(service.action)
    action = f"{action}?" if service.if_image_differs else action
    new = service.new_image
    if new is not None and new == service.old_image and service.action is ServiceAction.RECREATE:
        new = f"{new} → {image(service.expected_image)}" if not service.changed_keys else new
    cells = (service.service, action, image(service.old_image), image(new), ", ".join(service.changed_keys))
    return tuple(Text(printable(cell), style=style if number == 1 else "") for number, cell in enumerate(cells))
