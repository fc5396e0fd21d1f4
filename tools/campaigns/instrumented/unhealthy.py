"""A version that takes over, does its part, and then becomes unhealthy and hangs: its predecessor takes back."""

import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from roas.http.server import HttpServer
from tools.campaigns.instrumented.gate import Gate

ILL = "ill"
# Everything is replaced by then, and nothing of it is proven.
TURNS_UNHEALTHY = ("verification: phase in_progress", "after")
Answer = Callable[[HttpServer, web.Request], Awaitable[web.Response]]


class UnhealthyGate(Gate):
    """Become unhealthy at a step, permanently: the health check fails, and the journal's thread never returns."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._ill = False
        self._fail_health_check()

    def hold_thread(self, step: str, when: str) -> None:
        """Wait at a step; at the fatal one, for ever."""
        super().hold_thread(step, when)
        if (step, when) == TURNS_UNHEALTHY:
            self._ill = True
            threading.Event().wait()

    def _fail_health_check(self) -> None:
        well: Answer = HttpServer._health

        async def answer(server: HttpServer, request: web.Request) -> web.Response:
            return web.Response(status=503, text="unhealthy") if self._ill else await well(server, request)

        HttpServer._health = answer  # type: ignore[method-assign,assignment]
