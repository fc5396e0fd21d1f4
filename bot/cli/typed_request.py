"""Make a request of what was typed."""

import re
from typing import Any

import typer
from pydantic import ValidationError

from roas.cli.running import Session
from roas.configuration.wrong_values import wrong_values
from roas.errors import InvalidRequestError
from roas.models.deployment import DeploymentKind, DeploymentRequest

RELEASE_PATTERN = re.compile(r"[rR]?(\d{1,9})")
REASON_LENGTH = 500


def make_request(
    session: Session,
    environment: str,
    *,
    kind: DeploymentKind = DeploymentKind.DEPLOY,
    version: str | None = None,
    services: list[str] | None = None,
    reason: str = "",
    granted: list[str] | None = None,
    **more: Any,
) -> DeploymentRequest:
    """Return the request, with what was typed as text; `more` is as the request has it. Raises InvalidRequestError."""
    return DeploymentRequest(
        environment=as_text(environment),
        kind=kind,
        requested_by=session.user,
        version=None if version is None else as_text(version),
        services=tuple(dict.fromkeys(map(as_text, services or ()))),
        reason=one_line_reason(reason),
        granted=tuple(dict.fromkeys(map(as_text, granted or ()))),
        **more,
    )


def as_text(typed: str) -> str:
    """Return what was typed as text: a terminal of another encoding sends bytes that are none here."""
    return typed.encode(errors="surrogateescape").decode(errors="replace")


def one_line_reason(reason: str) -> str:
    """Return a reason on one line. Raises InvalidRequestError where it is too long to be read."""
    text = " ".join(as_text(reason).split())
    if len(text) > REASON_LENGTH:
        raise InvalidRequestError("The reason is too long.", hint=f"{REASON_LENGTH} characters at most.")
    return text


def read_release(text: str | None) -> int | None:
    """Read `12` or `r12`. Raises InvalidRequestError."""
    if text is None:
        return None
    matched = RELEASE_PATTERN.fullmatch(text.strip())
    if matched is None:
        raise InvalidRequestError(
            f"{text!r} is not a release.", hint="A release is a number, such as 12 or r12; `roas releases` lists them."
        )
    return int(matched[1])


def plain(error: typer.BadParameter) -> str:
    """Describe what is wrong with an argument as with a setting."""
    if not isinstance(error.__cause__, ValidationError):
        return error.message
    return "; ".join(text for _, text in wrong_values(error.__cause__))
