"""`restart`, `stop`, `start`, `scale`: services of the release that runs; `keep`: what hands changed of them."""

from typing import Annotated

import typer

from roas.cli.deploy import planned_command
from roas.cli.running import EnvironmentName, Grant, Reason, Session
from roas.cli.typed_request import make_request
from roas.models.deployment import DeploymentRequest, Operation

ServiceNames = Annotated[list[str], typer.Argument(metavar="SERVICE...", help="Which services.")]


@planned_command
def restart(
    session: Session, environment: EnvironmentName, services: ServiceNames, reason: Reason = ""
) -> DeploymentRequest:
    """Restart services of the release that runs; of the bot itself, a new container takes over."""
    return make_request(session, environment, services=services, reason=reason, operation=Operation.RESTART)


@planned_command
def stop(
    session: Session, environment: EnvironmentName, services: ServiceNames, reason: Reason = ""
) -> DeploymentRequest:
    """Stop services until they are started or deployed again; nobody is alerted."""
    return make_request(session, environment, services=services, reason=reason, operation=Operation.STOP)


@planned_command
def start(
    session: Session, environment: EnvironmentName, services: ServiceNames, reason: Reason = ""
) -> DeploymentRequest:
    """Start services of the release that runs, and what they need."""
    return make_request(session, environment, services=services, reason=reason, operation=Operation.START)


@planned_command
def scale(
    session: Session,
    environment: EnvironmentName,
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="Which service.")],
    replicas: Annotated[int, typer.Argument(metavar="REPLICAS", help="How many replicas; with 0 it is stopped.")],
    reason: Reason = "",
) -> DeploymentRequest:
    """Change how many replicas of a service there are, until its files say another number."""
    operation = Operation.SCALE
    return make_request(session, environment, services=[service], reason=reason, operation=operation, replicas=replicas)


@planned_command
def keep(session: Session, environment: EnvironmentName, reason: Reason = "", grant: Grant = None) -> DeploymentRequest:
    """Make a release of what was changed by hand, without touching it."""
    return make_request(session, environment, reason=reason, granted=grant, operation=Operation.KEEP)
