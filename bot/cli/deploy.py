"""`deploy`, `hotfix`, `rollback`: move an environment to another release."""

from typing import Annotated

import typer

from roas.cli.execution import ExecutionOptions, execute, make_request, read_release
from roas.cli.running import run_command
from roas.cli.session import Detach, DryRun, EnvironmentName, Grant, Json, Reason, Services, Version, Yes
from roas.models.deployment import DeploymentKind


def deploy(
    environment: EnvironmentName,
    version: Version,
    service: Services = None,
    dry_run: DryRun = False,
    reason: Reason = "",
    grant: Grant = None,
    yes: Yes = False,
    as_json: Json = False,
    detach: Detach = False,
) -> None:
    """Deploy a version: all phases, and back to the old release by itself where it fails."""
    run_command(
        lambda session: execute(
            session,
            make_request(
                session,
                environment,
                DeploymentKind.DEPLOY,
                version=version,
                services=service,
                reason=reason,
                granted=grant,
            ),
            ExecutionOptions(dry_run=dry_run, confirmed=yes, detach=detach),
        ),
        as_json=as_json,
    )


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
