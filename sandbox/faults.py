"""Faults that a test orders: refusals, rate limits, delays, and answers that get lost on the way back."""

from __future__ import annotations

import fnmatch
import hashlib
import math
import time
from dataclasses import dataclass

from aiohttp import web

from sandbox.replies import reply


@dataclass
class Fault:
    """What happens to the next `times` requests that match."""

    method: str = "*"
    path: str = "*"
    status: int | None = 500  # None: it is answered as ever, only later.
    times: int = 1
    delay: float = 0.0  # How many seconds the answer takes.
    retry_after: float = 0.1
    is_global: bool = False
    performed: bool = False  # True: the request takes effect at once, only its answer is replaced or late.

    def matches(self, method: str, path: str) -> bool:
        """Return whether this fault applies to the request."""
        return self.times > 0 and self.method in ("*", method) and fnmatch.fnmatch(path, self.path)

    def response(self, answer: web.Response | None, method: str, path: str) -> web.Response:
        """Build what the client gets in place of the sandbox's own answer."""
        if self.status is None and answer is not None:
            return answer
        status = self.status or 500
        headers = {"Via": "1.1 sandbox"}  # discord.py takes a 429 without Via for a ban by Cloudflare.
        if status == 429:
            limited = "You are being rate limited."
            body = {"message": limited, "retry_after": self.retry_after, "global": self.is_global}
            return reply(body, status, headers | self._limits(method, path))
        return reply({"message": f"{status}: ordered by the control API", "code": 0}, status, headers)

    def _limits(self, method: str, path: str) -> dict[str, str]:
        """Return what Discord sends with a 429: the header's seconds are whole, those of the body are not."""
        headers = {"Retry-After": str(math.ceil(self.retry_after))}
        if self.is_global:  # which belongs to no bucket
            return headers | {"X-RateLimit-Global": "true", "X-RateLimit-Scope": "global"}
        return headers | {
            "X-RateLimit-Limit": "5",
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": f"{time.time() + self.retry_after:.3f}",
            "X-RateLimit-Reset-After": f"{self.retry_after:.3f}",
            "X-RateLimit-Bucket": hashlib.md5(f"{method} {path}".encode(), usedforsecurity=False).hexdigest(),
            "X-RateLimit-Scope": "user",
        }


class Faults:
    """The ordered faults that are not used up yet."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Order a fault."""
        self._faults.append(fault)

    def clear(self) -> None:
        """Withdraw every order."""
        self._faults.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault that this request runs into, if any, and count it."""
        for fault in self._faults:
            if fault.matches(method, path):
                fault.times -= 1
                return fault
        return None
