"""Check whether a Redis server answers."""

import asyncio

import redis.asyncio

from roas.errors import RoasError
from roas.messages.message import said


class RedisUnavailableError(RoasError):
    """Redis does not answer, or refuses us."""

    key = "redis_unavailable"
    transient = True


async def ping(url: str, *, timeout_seconds: float = 5.0) -> None:
    """Send PING and wait for its answer. Raises RedisUnavailableError, whose message holds no part of the URL."""
    client = redis.asyncio.Redis.from_url(url, socket_connect_timeout=timeout_seconds, socket_timeout=timeout_seconds)
    try:
        async with asyncio.timeout(timeout_seconds):
            await client.ping()
    except Exception as error:  # who answers may be anybody: the library fails in many ways on what is no Redis
        raise RedisUnavailableError(
            said("Redis does not answer ({name}).", name=type(error).__name__),
            hint=said("Check REDIS_URL and that the server runs."),
        ) from error
    finally:
        await client.aclose()
