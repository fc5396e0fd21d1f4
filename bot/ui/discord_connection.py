"""Track whether Discord is reachable: discord.py calls a client ready long after its connection was lost."""

import asyncio
import time
from types import SimpleNamespace

import aiohttp
import discord
from discord.http import Route

# A gateway asks for a new connection now and then, and a single request may fail: neither is an outage.
BLINK_SECONDS = 5.0
# A rejected request is no evidence after so long without another: a standby sends none.
STALE_SECONDS = 30.0
TOO_MANY_REQUESTS = 429


class DiscordConnection:
    """Report whether a client's session is open and its requests are answered."""

    def __init__(self) -> None:
        self._gateway_seen = float("-inf")
        self._refused_since: float | None = None
        self._last_refusal = float("-inf")

    def rest_trace(self) -> aiohttp.TraceConfig:
        """Return what lets a client's requests be seen."""
        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(self._answered)
        trace.on_request_exception.append(self._failed)
        return trace

    def is_alive(self, client: discord.Client) -> bool:
        """Return whether a client is ready, and has not lost the gateway or its requests for longer than a blink."""
        now = time.monotonic()
        if not client.is_ready():
            return False
        if client.ws is None or client.ws.open:  # a client of many shards has none of its own
            self._gateway_seen = now
        refused = 0.0
        if self._refused_since is not None and now - self._last_refusal < STALE_SECONDS:
            refused = now - self._refused_since
        return max(now - self._gateway_seen, refused) < BLINK_SECONDS

    async def _answered(
        self, _session: aiohttp.ClientSession, _context: SimpleNamespace, request: aiohttp.TraceRequestEndParams
    ) -> None:
        if _is_rest(request):
            self._note(refused=request.response.status >= 500 or request.response.status == TOO_MANY_REQUESTS)

    async def _failed(
        self, _session: aiohttp.ClientSession, _context: SimpleNamespace, request: aiohttp.TraceRequestExceptionParams
    ) -> None:
        # A leader that steps down cancels its own requests: nobody has rejected them.
        if _is_rest(request) and not isinstance(request.exception, asyncio.CancelledError):
            self._note(refused=True)

    def _note(self, *, refused: bool) -> None:
        now = time.monotonic()
        if not refused:
            self._refused_since = None
            return
        if self._refused_since is None or now - self._last_refusal >= STALE_SECONDS:
            self._refused_since = now
        self._last_refusal = now


def _is_rest(request: aiohttp.TraceRequestEndParams | aiohttp.TraceRequestExceptionParams) -> bool:
    """Distinguish a request from the opening of a gateway, which uses the same method."""
    return str(request.url).startswith(Route.BASE)
