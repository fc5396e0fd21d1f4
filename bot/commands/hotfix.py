"""`hotfix`: bring a fix in a hurry."""

from typing import Annotated

import typer

from roas.commands.arguments import Detach, DryRun, EnvironmentName, Json, Services, Version, Yes
from roas.commands.command_runner import run_command
from roas.commands.request import make_request
from roas.commands.request_execution import ExecutionOptions, execute
from roas.models.deployment import DeploymentKind


def hotfix(
    environment: EnvironmentName,
    version: Version,
    reason: Annotated[str, typer.Option("--reason", help="Why it cannot wait.")],
    service: Services = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
    detach: Detach = False,
) -> None:
    """Bring a fix without building and pruning, within short times; it is rolled back if it fails."""
    run_command(
        lambda session: execute(
            session,
            make_request(session, environment, DeploymentKind.HOTFIX, version=version, services=service, reason=reason),
            ExecutionOptions(dry_run=dry_run, confirmed=yes, detach=detach),
        ),
        as_json=as_json,
    )
