"""Know whether Discord is reachable, and hold back what it sends to a standby: interactions and events.

discord.py calls a client ready long after its connection was lost. It passes an interaction to commands and buttons
before it dispatches any event, so the gate must be placed where the gateway's payloads come in, and a second time where
they leave as events. The client's own state is kept up to date all the while: who takes over knows guilds, channels and
members as they are, and needs no new login.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import aiohttp
import discord
from discord.http import Route

from roas.log import get_logger
from roas.state.leadership import Leadership

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


log = get_logger(__name__)

INTERACTION = "INTERACTION_CREATE"
# Discord waits three seconds for an acknowledgement; an older interaction has failed for its user.
KEPT_SECONDS = 3.0
# What a client needs to know that it is connected; repeated when this bot becomes the leader. The rest is the leader's.
STARTING = frozenset({"connect", "shard_connect", "guild_available", "ready", "shard_ready"})
# What the client itself, not its state, says of the connection. Its other events are its owner's own.
CONNECTION = frozenset({"disconnect", "shard_disconnect"})
SOCKET = "socket_"


class StandbyGate:
    """Hold back what arrives while another bot leads, and replay what still matters on becoming leader."""

    def __init__(self, client: discord.Client, leadership: Leadership) -> None:
        self._client = client
        self._leadership = leadership
        self._held: deque[tuple[float, Any]] = deque()
        self._missed: dict[tuple[Any, ...], None] = {}
        self._leaving = self._removed = False
        self._answer: Callable[[Any], bool] | None = None
        connection = client._connection
        self._parse, self._dispatch_original = connection.parsers[INTERACTION], connection.dispatch
        self._client_dispatch, self._close_client = client.dispatch, client.close
        connection.parsers[INTERACTION] = self._receive
        connection.dispatch = self._dispatch
        client.dispatch = self._dispatch_of_client  # type: ignore[method-assign]
        client.close = self._close  # type: ignore[method-assign]
        self._stop_listening = leadership.on_gained(self._open)

    def _open(self) -> None:
        """Dispatch what a new leader has to know, then replay the interactions of the last seconds.

        The other bot may not have answered those any more; where it has, Discord refuses a second answer.
        """
        self._replay_missed()
        self._drop_old()
        while self._held:
            self._forward(self._parse, self._held.popleft()[1])

    def answer_with(self, receive: Callable[[Any], bool]) -> None:
        """Let somebody else answer what arrives, for a bot that has stopped acting; the rest goes on as it did."""
        self._answer = receive
        held, self._held = self._held, deque()
        for _at, payload in held:
            self._receive(payload)

    def remove(self) -> None:
        """Restore the client as it was found, but for what others have wrapped: from now on the gate passes all.

        A client that is being closed dispatches nothing more.
        """
        self._removed = True
        self._stop_listening()
        self._held.clear()
        if not self._leaving:
            self._restore()
            self._replay_missed()

    @property
    def leaving(self) -> bool:
        """Return whether the client is just being closed."""
        return self._leaving

    @property
    def _is_open(self) -> bool:
        """Return whether all passes: while this bot leads, and where somebody calls a gate that was removed."""
        return self._leadership.is_leader or (self._removed and not self._leaving)

    def _receive(self, payload: Any) -> None:
        if self._answer is not None and self._answer(payload):
            return
        if self._is_open:
            self._parse(payload)
            return
        self._held.append((time.monotonic(), payload))
        self._drop_old()

    def _dispatch(self, event: str, /, *arguments: Any, **more: Any) -> None:
        """Sit between the client's state and all its listeners."""
        if self._is_open:
            self._dispatch_original(event, *arguments, **more)
        elif event in STARTING:
            self._missed.pop((event, *arguments), None)
            self._missed[event, *arguments] = None

    def _dispatch_of_client(self, event: str, /, *arguments: Any, **more: Any) -> None:
        if self._is_open or not (event in CONNECTION or event.startswith(SOCKET)):
            self._client_dispatch(event, *arguments, **more)

    def _replay_missed(self) -> None:
        """Replay how the connection began, with guilds as they are now."""
        missed, self._missed = self._missed, {}
        for event, *arguments in missed:
            guilds = [a for a in arguments if isinstance(a, discord.Guild)]
            if all(self._client.get_guild(guild.id) is guild for guild in guilds):
                self._forward(self._dispatch_original, event, *arguments)

    def _forward(self, to: Callable[..., Any], *arguments: Any) -> None:
        """Replay what was held back; a failure in one part of the client must not keep the rest from the others."""
        try:
            to(*arguments)
        except Exception:
            log.exception("replay of held-back gateway events failed")

    def _drop_old(self) -> None:
        while self._held and time.monotonic() - self._held[0][0] > KEPT_SECONDS:
            self._held.popleft()

    async def _close(self) -> None:
        """Close the client; it unloads its extensions, this one among them, long before it leaves the gateway."""
        self._leaving = True
        try:
            await self._close_client()
        finally:
            self._leaving = False
            if self._removed:
                self._restore()

    def _restore(self) -> None:
        """Put back what is still the gate's own; the host may have wrapped it meanwhile, and keeps its wrapper."""
        connection, own = self._client._connection, vars(self._client)
        if connection.parsers[INTERACTION] == self._receive:
            connection.parsers[INTERACTION] = self._parse
        if connection.dispatch == self._dispatch:
            connection.dispatch = self._dispatch_original
        for name, ours, was in (
            ("dispatch", self._dispatch_of_client, self._client_dispatch),
            ("close", self._close, self._close_client),
        ):
            if own.get(name) != ours:
                continue
            if getattr(was, "__func__", None) is getattr(type(self._client), name):
                delattr(self._client, name)  # the class's own shows again
            else:
                setattr(self._client, name, was)
