"""`deploy`: bring a version to an environment."""

from roas.commands.arguments import Detach, DryRun, EnvironmentName, Json, Reason, Services, Version, Yes
from roas.commands.command_runner import run_command
from roas.commands.request import make_request
from roas.commands.request_execution import ExecutionOptions, execute
from roas.models.deployment import DeploymentKind


def deploy(
    environment: EnvironmentName,
    version: Version,
    service: Services = None,
    dry_run: DryRun = False,
    reason: Reason = "",
    yes: Yes = False,
    as_json: Json = False,
    detach: Detach = False,
) -> None:
    """Deploy a version: all phases, and back to the old release by itself where it fails."""
    run_command(
        lambda session: execute(
            session,
            make_request(session, environment, DeploymentKind.DEPLOY, version=version, services=service, reason=reason),
            ExecutionOptions(dry_run=dry_run, confirmed=yes, detach=detach),
        ),
        as_json=as_json,
    )
