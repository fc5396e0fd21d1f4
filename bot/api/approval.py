"""Ask of a command what its environment requires where it needs approval: a reason, and a yes that is typed."""

import shlex

from roas.errors import NotPermittedError
from roas.messages.message import said
from roas.models.deployment import DeploymentKind, DeploymentRequest
from roas.models.environment import Environment


def check_approval(environment: Environment, request: DeploymentRequest, *, confirmed: bool) -> None:
    """Raise NotPermittedError, which says what to type, where a request lacks what its environment requires."""
    if not environment.needs_approval or not request.can_need_approval:
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
    text = ["roas", (request.operation or request.kind).value.lower(), request.environment]
    if request.promoted_from:
        text = ["roas", "promote", request.promoted_from, request.environment]
    if request.operation is not None:
        text += [*request.services, *([] if request.replicas is None else [str(request.replicas)])]
        return shlex.join([*text, "--reason", request.reason.strip() or "why it is needed", "--yes"])
    if request.kind is DeploymentKind.ROLLBACK:
        text += ["--to", str(request.target_release)] if request.target_release is not None else []
        text += [part for backup in request.data for part in ("--data", backup)]
    elif not request.promoted_from:
        text += [request.version or "VERSION"]
    for service in request.services:
        text += ["--service", service]
    text += ["--reason", request.reason.strip() or "why it is needed", "--yes"]
    return shlex.join(text)
