"""The two ways in which the sandbox refuses something."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ApiError(Exception):
    """A refusal that Discord's REST API would give, with its status and JSON error code."""

    def __init__(self, status: int, code: int, message: str, errors: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{status} (error code: {code}): {message}")
        self.status = status
        self.code = code
        self.message = message
        self.errors = errors

    def body(self) -> dict[str, Any]:
        """Return the JSON body that Discord would send."""
        body: dict[str, Any] = {"message": self.message, "code": self.code}
        if self.errors:
            body["errors"] = self.errors
        return body


class ControlError(Exception):
    """Something that a person could not do in a Discord client; it never reaches the bot."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


def invalid_form(problems: list[tuple[str, str]]) -> ApiError:
    """Build Discord's 50035 from (dotted path, problem) pairs, nested the way Discord nests them."""
    errors: dict[str, Any] = {}
    for path, problem in problems:
        node = errors
        for part in filter(None, path.split(".")):
            node = node.setdefault(part, {})
        node.setdefault("_errors", []).append({"code": "INVALID", "message": problem})
    return ApiError(400, 50035, "Invalid Form Body", errors)
