"""`history`: list the last deployments, and archive all that the journal has of the past."""

from pathlib import Path
from typing import Annotated

import typer

from roas.commands.arguments import AnyEnvironment, Json
from roas.commands.command_runner import run_command
from roas.commands.documents import DeploymentList
from roas.commands.environment import find_environment
from roas.commands.exit_codes import ExitCode
from roas.commands.formatting import at, person, release
from roas.commands.history_export import export_history
from roas.commands.journal import open_journal
from roas.commands.session import Session
from roas.commands.tables import add_row, make_table
from roas.models.deployment import Deployment, Outcome
from roas.state.documents import to_json
from roas.ui.quantities import duration

OutcomeOption = Annotated[Outcome | None, typer.Option("--outcome", help="Only those that ended so.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many, the newest first.")]
Export = Annotated[
    Path | None,
    typer.Option(
        "--export", metavar="FILE", help="Write all deployments and events that are kept to a new file; - is stdout."
    ),
]


def history(
    environment: AnyEnvironment = None,
    outcome: OutcomeOption = None,
    limit: Limit = 20,
    export: Export = None,
    as_json: Json = False,
) -> None:
    """List the last deployments, the newest first: who, what, when, and how it ended."""
    if export is not None:
        run_command(lambda session: export_history(session, export, environment), as_json=as_json)
    else:
        run_command(lambda session: _history(session, environment, outcome, limit), as_json=as_json)


async def _history(session: Session, environment: str | None, outcome: Outcome | None, limit: int) -> int:
    if environment is not None:
        find_environment(session.settings, environment)
    async with open_journal(session) as state:
        found = await state.deployments.list(environment, limit=limit, outcome=outcome)
    if session.terminal.as_json:
        session.terminal.document(to_json(DeploymentList(found)))
    elif found:
        _show(session, found)
    else:
        found_none = f"No deployment ended {outcome}" if outcome else "No deployment yet"
        session.terminal.say(f"{found_none} (state folder: {session.state_dir}).")
    return ExitCode.SUCCEEDED


def _show(session: Session, deployments: tuple[Deployment, ...]) -> None:
    table = make_table("deployment", "environment", "version", "release", "by", "begun", "took", "outcome", "why")
    for one in deployments:
        cells = (
            one.id,
            one.environment,
            one.request.version or "-",
            f"{release(one.from_release)} → {release(one.to_release)}",
            person(one.request.requested_by),
            at(one.created_at),
            duration(one.duration_seconds),
            one.outcome or "under way",
            one.problem.message if one.problem else one.request.reason,
        )
        add_row(table, cells)
    session.terminal.out.print(table)
