"""`restart`, `stop`, `start`, `scale`: services of the release that runs; `keep`: what hands changed of them."""

from dataclasses import replace
from typing import Annotated

import typer

from roas.cli.deploy import ExecutionOptions, execute, make_request
from roas.cli.running import Detach, DryRun, EnvironmentName, Grant, Json, Reason, Session, Yes, run_command
from roas.models.deployment import DeploymentKind, DeploymentRequest, Operation

ServiceNames = Annotated[list[str], typer.Argument(metavar="SERVICE...", help="Which services.")]


def restart(
    environment: EnvironmentName,
    services: ServiceNames,
    reason: Reason = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
    detach: Detach = False,
) -> None:
    """Restart services of the release that runs; of the bot itself, a new container takes over."""
    _operate(Operation.RESTART, environment, services, reason, ExecutionOptions(dry_run, yes, detach), as_json=as_json)


def stop(
    environment: EnvironmentName,
    services: ServiceNames,
    reason: Reason = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
    detach: Detach = False,
) -> None:
    """Stop services until they are started or deployed again; nobody is alerted."""
    _operate(Operation.STOP, environment, services, reason, ExecutionOptions(dry_run, yes, detach), as_json=as_json)


def start(
    environment: EnvironmentName,
    services: ServiceNames,
    reason: Reason = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
    detach: Detach = False,
) -> None:
    """Start services of the release that runs, and what they need."""
    _operate(Operation.START, environment, services, reason, ExecutionOptions(dry_run, yes, detach), as_json=as_json)


def scale(
    environment: EnvironmentName,
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="Which service.")],
    replicas: Annotated[int, typer.Argument(metavar="REPLICAS", help="How many replicas; with 0 it is stopped.")],
    reason: Reason = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
    detach: Detach = False,
) -> None:
    """Change how many replicas of a service there are, until its files say another number."""
    options = ExecutionOptions(dry_run, yes, detach)
    _operate(Operation.SCALE, environment, [service], reason, options, as_json=as_json, replicas=replicas)


def keep(
    environment: EnvironmentName,
    reason: Reason = "",
    dry_run: DryRun = False,
    grant: Grant = None,
    yes: Yes = False,
    as_json: Json = False,
    detach: Detach = False,
) -> None:
    """Make a release of what was changed by hand, without touching it."""
    options = ExecutionOptions(dry_run, yes, detach)
    _operate(Operation.KEEP, environment, [], reason, options, as_json=as_json, granted=grant)


def _operate(
    operation: Operation,
    environment: str,
    services: list[str],
    reason: str,
    options: ExecutionOptions,
    *,
    as_json: bool,
    replicas: int | None = None,
    granted: list[str] | None = None,
) -> None:
    def request(session: Session) -> DeploymentRequest:
        made = make_request(
            session,
            environment,
            DeploymentKind.DEPLOY,
            services=services,
            reason=reason,
            granted=granted,
            operation=operation,
        )
        return replace(made, replicas=replicas)

    run_command(lambda session: execute(session, request(session), options), as_json=as_json)
