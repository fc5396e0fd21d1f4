"""`rollback`: go back to an earlier release."""

from typing import Annotated

import typer

from roas.commands.arguments import Detach, DryRun, EnvironmentName, Json, Reason, Yes
from roas.commands.command_runner import run_command
from roas.commands.request import make_request, read_release
from roas.commands.request_execution import ExecutionOptions, execute
from roas.models.deployment import DeploymentKind

ReleaseNumber = Annotated[
    str | None, typer.Option("--to", metavar="N", help="Which release, such as 12 or r12; the one before if left out.")
]


def rollback(
    environment: EnvironmentName,
    to: ReleaseNumber = None,
    dry_run: DryRun = False,
    reason: Reason = "",
    yes: Yes = False,
    as_json: Json = False,
    detach: Detach = False,
) -> None:
    """Go back to an earlier release, the whole of it: images and configuration."""
    run_command(
        lambda session: execute(
            session,
            make_request(session, environment, DeploymentKind.ROLLBACK, target_release=read_release(to), reason=reason),
            ExecutionOptions(dry_run=dry_run, confirmed=yes, detach=detach),
        ),
        as_json=as_json,
    )
