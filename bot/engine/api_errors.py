"""Say what an engine refused, by whichever way it was asked: on our own connection, or through the Docker SDK."""

import json
from contextlib import suppress
from http import HTTPStatus


class ApiError(Exception):
    """An engine refused: its status, and its own words."""

    def __init__(self, status: int, explanation: str) -> None:
        super().__init__(explanation)
        self.status = status
        self.explanation = explanation


class ApiNotFoundError(ApiError):
    """An engine does not have what it was asked about."""


def refusal(status: int, reason: str, content: bytes) -> ApiError:
    """Read an answer that is no success: JSON with a message, or plain text."""
    text = content.decode(errors="replace").strip()
    with suppress(ValueError, LookupError, TypeError):
        text = str(json.loads(text)["message"]).strip()
    kind = ApiNotFoundError if status == HTTPStatus.NOT_FOUND else ApiError
    return kind(status, text or reason)
