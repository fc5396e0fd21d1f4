"""Write a projection of the journal to Redis, each batch whole and once."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import redis.asyncio
from redis import exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import WatchError

from roas.log import get_logger
from roas.messages.message import said
from roas.state.projection import STREAM_LENGTH, Cursor, Keys, Redact, hash_fields, stream_entry
from roas.state.projection_source import Numbered
from roas.state.redis_server import RedisUnavailableError

log = get_logger(__name__)

LONGEST_DOCUMENT = 64 * 1024
READ_AT_ONCE = 500
# Redis trims a stream by whole nodes, so that it may be a little longer than it should.
MOST_ENTRIES = STREAM_LENGTH + 1000
LARGEST_STREAM = 256 << 20
# Answers of a server that runs but accepts no writes now, such as MISCONF with a full disk: nothing is damaged.
PASSING = re.compile(r"(?:^|caused error: )(?!WRONGTYPE)[A-Z]{4,} ")
Fields = dict[bytes, bytes]
CURSOR_FIELDS = ("journal", "sequence", "change")


class ProjectionDamagedError(RedisUnavailableError):
    """What is in Redis cannot be continued; it must be rewritten."""

    key = "projection_damaged"


@dataclass(frozen=True, slots=True)
class Position:
    """Describe what is in Redis: the last change, and whether the end of the stream agrees with it."""

    cursor: Cursor | None
    last_entry: str

    @property
    def whole(self) -> bool:
        """Return whether the stream ends where the cursor says."""
        return self.cursor is not None and self.last_entry == _entry_id(self.cursor.sequence)


class RedisProjection:
    """Talk to one Redis server. Every method raises RedisUnavailableError, whose message holds no part of the URL."""

    def __init__(self, url: str, keys: Keys, redact: Redact, *, timeout_seconds: float) -> None:
        self._url = url
        self._keys = keys
        self._redact = redact
        self._timeout_seconds = timeout_seconds

    @cached_property
    def _client(self) -> Any:
        return redis.asyncio.Redis.from_url(
            self._url,
            socket_connect_timeout=self._timeout_seconds,
            socket_timeout=self._timeout_seconds,
            retry=Retry(NoBackoff(), 0),  # the caller retries, and reads from the journal where to continue
        )

    async def close(self) -> None:
        """Close every connection."""
        client = self.__dict__.pop("_client", None)
        if client is not None:
            await client.aclose()

    async def position(self) -> Position:
        """Return up to where Redis has the journal."""
        async with _faults(), self._client.pipeline(transaction=True) as pipe:
            pipe.hmget(self._keys.cursor, CURSOR_FIELDS)
            pipe.xrevrange(self._keys.stream, count=1)
            values, entries = await pipe.execute()
        return Position(_cursor(values), entries[0][0].decode() if entries else "")

    async def append(self, expected: Cursor | None, batch: Sequence[Numbered], cursor: Cursor, *, anew: bool) -> bool:
        """Write changes and their position, or nothing; returns False where another process was faster.

        `anew` drops what was there. Raises ProjectionDamagedError where that is necessary.
        """
        old = await self._old_keys() if anew else []
        async with _faults(), self._client.pipeline(transaction=True) as pipe:
            await pipe.watch(self._keys.cursor)
            if _cursor(await pipe.hmget(self._keys.cursor, CURSOR_FIELDS)) != expected:
                return False
            pipe.multi()
            if old:
                pipe.delete(*old)
            self._queue(pipe, batch, cursor)
            try:
                await pipe.execute()
            except WatchError:
                return False
        return True

    async def clear(self) -> None:
        """Drop the projection, whatever it has become."""
        old = await self._old_keys()
        async with _faults():
            if old:
                await self._client.delete(*old)

    def _queue(self, pipe: Any, batch: Sequence[Numbered], cursor: Cursor) -> None:
        for numbered in batch:
            entry = stream_entry(numbered.change, self._redact)
            # The number as the id: Redis itself refuses a second one, and one that is out of order.
            pipe.xadd(self._keys.stream, entry, id=_entry_id(numbered.sequence), maxlen=STREAM_LENGTH, approximate=True)
        for one in hash_fields(batch, self._keys, self._redact):
            if one.value is None:
                pipe.hdel(one.key, one.field)
            else:
                pipe.hset(one.key, one.field, one.value)
        fields = {"journal": cursor.journal, "sequence": str(cursor.sequence), "change": cursor.change_id}
        pipe.hset(self._keys.cursor, mapping=fields)

    async def _old_keys(self) -> list[bytes]:
        """Return our keys; what are more than we ever have are dropped at once, a few at a time."""
        found: list[bytes] = []
        async with _faults():
            async for key in self._client.scan_iter(match=self._keys.key("*"), count=READ_AT_ONCE):
                if len(found) == 2 * READ_AT_ONCE:
                    await self._client.unlink(*found[READ_AT_ONCE:])
                    del found[READ_AT_ONCE:]
                found.append(key)
        return found


@asynccontextmanager
async def _faults() -> AsyncIterator[None]:
    """Convert exceptions of the Redis library to our own errors."""
    try:
        yield
    except (exceptions.RedisError, OSError, TimeoutError) as error:
        name = type(error).__name__
        if type(error) is exceptions.ResponseError and not PASSING.search(str(error)):
            raise ProjectionDamagedError(said("What is in Redis cannot be continued ({name}).", name=name)) from error
        raise RedisUnavailableError(
            said("Redis does not answer ({name}).", name=name), hint=said("Check REDIS_URL and that the server runs.")
        ) from error


def _entry_id(sequence: int) -> str:
    return f"{sequence}-0"


def _cursor(values: Sequence[bytes | None]) -> Cursor | None:
    journal, sequence, change = values
    if journal is None or sequence is None or change is None:
        return None
    try:
        return Cursor(journal.decode(), int(sequence), change.decode())
    except ValueError:
        return None
