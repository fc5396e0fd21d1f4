"""Faults that a test orders: refusals, rate limits, and answers that get lost on the way back."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sandbox.replies import reply


@dataclass
class Fault:
    """What happens to the next `times` requests that match."""

    method: str = "*"
    path: str = "*"
    status: int = 500
    times: int = 1
    retry_after: float = 0.1
    is_global: bool = False
    performed: bool = False  # True: the request takes effect, only its answer is replaced.

    def matches(self, method: str, path: str) -> bool:
        """Say whether this fault is meant for the request."""
        return self.times > 0 and self.method in ("*", method) and fnmatch.fnmatch(path, self.path)

    def response(self) -> web.Response:
        """Build the answer that the client gets instead."""
        body: dict[str, Any] = {"message": f"{self.status}: ordered by the control API", "code": 0}
        headers = {"Via": "1.1 sandbox"}  # discord.py takes a 429 without Via for a ban by Cloudflare.
        if self.status == 429:
            body = {"message": "You are being rate limited.", "retry_after": self.retry_after, "global": self.is_global}
            headers |= {"Retry-After": str(self.retry_after), "X-RateLimit-Scope": "user"}
            if self.is_global:
                headers |= {"X-RateLimit-Global": "true", "X-RateLimit-Scope": "global"}
        return reply(body, self.status, headers)


class Faults:
    """The ordered faults that are not used up yet."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Order a fault."""
        self._faults.append(fault)

    def clear(self) -> None:
        """Take back every order."""
        self._faults.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault that this request runs into, if any, and count it."""
        for fault in self._faults:
            if fault.matches(method, path):
                fault.times -= 1
                return fault
        return None
