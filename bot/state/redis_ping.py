"""Ask Redis whether it is there."""

import redis.asyncio

PING_SECONDS = 5.0


async def ping_redis(url: str) -> None:
    """Send one PING over a connection of its own. Raises what the client raises where Redis does not answer."""
    client = redis.asyncio.Redis.from_url(
        url, socket_connect_timeout=PING_SECONDS, socket_timeout=PING_SECONDS, single_connection_client=True
    )
    async with client:
        await client.ping()
