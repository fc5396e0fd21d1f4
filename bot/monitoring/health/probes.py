"""Probe a service over the network: `http(s)://`, `redis://`, `tcp://`.

Whoever answers may be anybody, and say anything. So a name is resolved once, the connection goes to that very address
if a probe may ask it, nothing is followed elsewhere, little is read, and no answer is more than "no".
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol, cast
from urllib.parse import SplitResult, unquote, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from roas.concurrency import in_daemon_thread
from roas.engine.model.service_probes import can_be_asked
from roas.engine.policy.probe_rules import target_of
from roas.errors import RoasError
from roas.log import get_logger
from roas.messages.message import said
from roas.models.environment import Environment
from roas.monitoring.health.probe_history import place_of

log = get_logger(__name__)

LONGEST_LINE = 1024
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Targets(Protocol):
    """Decide which addresses a probe may ask."""

    async def permitted(
        self, environment: Environment, host: str, port: int, addresses: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Return those of the addresses of a host that a probe may ask."""
        ...


@dataclass(frozen=True, slots=True)
class _Target:
    """Hold what is asked, and at which address."""

    parts: SplitResult
    host: str
    port: int
    address: str

    @asynccontextmanager
    async def connected(self, *, secure: bool = False) -> AsyncIterator[Streams]:
        """Open a connection to the address, and close it."""
        context = ssl.create_default_context() if secure else None
        name = self.host if secure else None
        reader, writer = await asyncio.open_connection(
            self.address, self.port, ssl=context, server_hostname=name, limit=LONGEST_LINE
        )
        try:
            yield reader, writer
        finally:
            writer.close()
        await writer.wait_closed()


class NetworkProber:
    """Open one connection per probe, and close it."""

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._refused: set[tuple[str, str]] = set()

    async def probe(self, environment: Environment, url: str, timeout_seconds: float) -> bool | None:
        """Return whether a URL answers within its time; None where it or its name means nothing from here."""
        named = target_of(url)
        if named is None or not can_be_asked(url):  # a release may hold what is refused today
            return None
        (host, port), is_known = named, False
        try:
            async with asyncio.timeout(timeout_seconds):
                found = await in_daemon_thread(
                    partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM), f"lookup-{host}"
                )
                addresses = tuple(dict.fromkeys(str(one[4][0]) for one in found))
                permitted = await self._targets.permitted(environment, host, port, addresses)
                if not permitted:
                    self._note_refusal(environment, url, f"probe:{host}:{port}")
                    return None
                is_known = True
                parts = urlsplit(url)
                return await PROBES[parts.scheme](_Target(parts, host, port, permitted[0]))
        except (OSError, EOFError, TimeoutError, ValueError, aiohttp.ClientError, RoasError):
            return False if is_known else None

    def _note_refusal(self, environment: Environment, url: str, entry: str) -> None:
        if (environment.name, url) not in self._refused:
            self._refused.add((environment.name, url))
            hint = said("Name a service of the stack, or add {entry} to COMPOSE_POLICY_ALLOW.", entry=entry)
            log.warning(
                "a probe leads out of its environment", environment=environment.name, probe=place_of(url), hint=hint
            )


class _Pinned:
    """Resolve every name to the one address that was permitted, as aiohttp's AbstractResolver does.

    It is none by inheritance: aiohttp would be loaded with this file.
    """

    def __init__(self, target: _Target) -> None:
        self._target = target

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the address."""
        address = self._target.address
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [{"hostname": host, "host": address, "port": port, "family": kind, "proto": 0, "flags": flags}]

    async def close(self) -> None:
        """Have nothing to close."""


async def _http(target: _Target) -> bool:
    connector = aiohttp.TCPConnector(resolver=cast("AbstractResolver", _Pinned(target)), use_dns_cache=False)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(target.parts.geturl(), allow_redirects=False) as response,
    ):
        return response.status < 400  # the first status that means an error


async def _redis(target: _Target) -> bool:
    """Send PING by hand: a library would read an answer of any size, and believe what it says of that."""
    async with target.connected(secure=target.parts.scheme == "rediss") as (reader, writer):
        commands = [*_authentication(target.parts), ("PING",)]
        for command in commands:
            writer.write(_encoded(command))
        answers = [await reader.readline() for _ in commands]
        return answers[-1] == b"+PONG\r\n"


def _authentication(parts: SplitResult) -> list[tuple[str, ...]]:
    if parts.password is None:
        return []
    user = [unquote(parts.username)] if parts.username else []
    return [("AUTH", *user, unquote(parts.password))]


def _encoded(command: tuple[str, ...]) -> bytes:
    words = [word.encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


async def _tcp(target: _Target) -> bool:
    async with target.connected():
        return True


PROBES: Mapping[str, Callable[[_Target], Awaitable[bool]]] = {
    "http": _http,
    "https": _http,
    "redis": _redis,
    "rediss": _redis,
    "tcp": _tcp,
}
