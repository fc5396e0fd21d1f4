"""Probe a service over the network: `http(s)://`, `redis://`, `tcp://`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import SplitResult, urlsplit

import aiohttp

from roas.engine.service_probes import can_be_asked
from roas.errors import RoasError
from roas.models.environment import Environment
from roas.state.redis_server import ping


class NetworkProber:
    """Open one connection per probe, and close it."""

    async def probe(self, environment: Environment, url: str, timeout_seconds: float) -> bool | None:
        """Return whether a URL answers within its time; None where it or its name means nothing from here."""
        if not can_be_asked(url):  # a release may hold what is refused today
            return None
        parts, is_known = urlsplit(url), False
        try:
            async with asyncio.timeout(timeout_seconds):
                await asyncio.get_running_loop().getaddrinfo(parts.hostname, None)
                is_known = True
                return await PROBES[parts.scheme](parts)
        except (OSError, TimeoutError, UnicodeError, aiohttp.ClientError, RoasError):
            return False if is_known else None


async def _http(parts: SplitResult) -> bool:
    async with aiohttp.ClientSession() as session, session.get(parts.geturl(), allow_redirects=False) as response:
        return response.status < 400  # the first status that means an error


async def _redis(parts: SplitResult) -> bool:
    await ping(parts.geturl())
    return True


async def _tcp(parts: SplitResult) -> bool:
    _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.close()
    await writer.wait_closed()
    return True


PROBES: Mapping[str, Callable[[SplitResult], Awaitable[bool]]] = {
    "http": _http,
    "https": _http,
    "redis": _redis,
    "rediss": _redis,
    "tcp": _tcp,
}
