"""Require a reason and an explicit confirmation for environments that need approval."""

import shlex

from roas.errors import NotPermittedError
from roas.messages.message import said
from roas.models.deployment import DeploymentKind, DeploymentRequest
from roas.models.environment import Environment


def check_approval(environment: Environment, request: DeploymentRequest, *, confirmed: bool) -> None:
    """Raise NotPermittedError, which says what to type, where a request lacks what its environment requires."""
    if not environment.needs_approval:
        return
    missing = [name for name, given in (("--reason", bool(request.reason.strip())), ("--yes", confirmed)) if not given]
    if missing:
        raise NotPermittedError(
            said(
                "{environment} needs approval; the command lacks {missing}.",
                environment=environment.name,
                missing=" and ".join(missing),
            ),
            hint=said("Look at the plan with --dry-run, then type: {request}", request=command_line(request)),
        )


def command_line(request: DeploymentRequest) -> str:
    """Return the whole command that would be accepted."""
    text = ["roas", request.kind.value.lower(), request.environment]
    if request.kind is DeploymentKind.ROLLBACK:
        text += ["--to", str(request.target_release)] if request.target_release is not None else []
    else:
        text += [request.version or "VERSION"]
    for service in request.services:
        text += ["--service", service]
    text += ["--reason", request.reason.strip() or "why it is needed", "--yes"]
    return shlex.join(text)
