"""Judges every request body of the bot, and remembers what was wrong."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import Any

from sandbox.errors import ApiError, invalid_form
from sandbox.openapi import OpenApi
from sandbox.rules import check_message

KEPT_VIOLATIONS = 500
# Refusals that mean that the bot sent something which no correct bot sends. 50109 is invalid JSON.
_FAULTY_CODES = (50035, 50109, 50006, 40005)


class Checks:
    """Discord's own description where there is one, then the rules that it leaves out."""

    def __init__(self, openapi: OpenApi | None) -> None:
        self._openapi = openapi
        self.violations: deque[dict[str, Any]] = deque(maxlen=KEPT_VIOLATIONS)

    async def check(self, method: str, path: str, body: Any) -> None:
        """Refuse a body that Discord would refuse."""
        if self._openapi is not None:
            problems = await self._openapi.problems(method, path, body)
            if problems:
                raise invalid_form(problems)
        check_message(body)

    def refused(self, method: str, path: str, error: ApiError) -> None:
        """Remember a refusal, if it was the bot's own fault or something that the sandbox cannot do."""
        if error.code not in _FAULTY_CODES and error.status < 500:
            return
        self.violations.append(
            {
                "method": method,
                "path": path,
                "status": error.status,
                "code": error.code,
                "message": error.message,
                "errors": _flat(error.errors or {}),
                "time": datetime.now(UTC).isoformat(),
            }
        )


def _flat(errors: Any, path: str = "") -> list[str]:
    """Convert Discord's nested errors to lines."""
    lines: list[str] = []
    for key, value in errors.items():
        if key == "_errors":
            lines.extend(f"{path or 'body'}: {item['message']}" for item in value)
        else:
            lines.extend(_flat(value, f"{path}.{key}" if path else key))
    return lines
