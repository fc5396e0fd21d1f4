"""Project the journal to Redis, whatever becomes of Redis meanwhile: the DataSyncManager."""

import asyncio
import re
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from roas.concurrency import end_tasks, wait_for
from roas.errors import RoasError
from roas.extras import load_redis
from roas.limits import SOON, Backoff
from roas.log import get_logger
from roas.messages.message import said
from roas.models.state_change import StateChange
from roas.state.manager import StateManager
from roas.state.redis_form import STREAM_LENGTH, Cursor, Keys, Numbered, Redact, hash_fields, stream_entry

log = get_logger(__name__)


class RedisUnavailableError(RoasError):
    """Redis does not answer, or refuses us."""

    key = "redis_unavailable"
    transient = True


async def ping(url: str, *, timeout_seconds: float = 5.0) -> None:
    """Send PING and wait for its answer. Raises RedisUnavailableError, whose message holds no part of the URL."""
    redis = load_redis()
    client = redis.asyncio.Redis.from_url(url, socket_connect_timeout=timeout_seconds, socket_timeout=timeout_seconds)
    try:
        async with asyncio.timeout(timeout_seconds):
            await client.ping()
    except Exception as error:  # who answers may be anybody: the library fails in many ways on what is no Redis
        raise _unavailable(error) from error
    finally:
        await client.aclose()


READ_AT_ONCE = 500
# Answers of a server that runs but accepts no writes now, such as MISCONF with a full disk: nothing is damaged.
PASSING = re.compile(r"(?:^|caused error: )(?!WRONGTYPE)[A-Z]{4,} ")
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
        redis = load_redis()
        return redis.asyncio.Redis.from_url(
            self._url,
            socket_connect_timeout=self._timeout_seconds,
            socket_timeout=self._timeout_seconds,
            # The caller retries, and reads from the journal where to continue.
            retry=redis.asyncio.retry.Retry(redis.backoff.NoBackoff(), 0),
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

    async def append(
        self, expected: Cursor | None, batch: Sequence[Numbered], cursor: Cursor, *, recreate: bool
    ) -> bool:
        """Write changes and their position, or nothing; returns False where another process was faster.

        `recreate` drops what was there. Raises ProjectionDamagedError where that is necessary.
        """
        old = await self._old_keys() if recreate else []
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
            except load_redis().WatchError:
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
        for hash_field in hash_fields(batch, self._keys, self._redact):
            if hash_field.value is None:
                pipe.hdel(hash_field.key, hash_field.field)
            else:
                pipe.hset(hash_field.key, hash_field.field, hash_field.value)
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
    except (load_redis().RedisError, OSError, TimeoutError) as error:
        name = type(error).__name__
        if type(error) is load_redis().ResponseError and not PASSING.search(str(error)):
            raise ProjectionDamagedError(said("What is in Redis cannot be continued ({name}).", name=name)) from error
        raise _unavailable(error) from error


def _unavailable(error: Exception) -> RedisUnavailableError:
    return RedisUnavailableError(said("Redis does not answer ({name}).", name=type(error).__name__))


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


BATCH = 500
# How often it looks for what other processes wrote, and whether Redis still has what it was given.
POLL_SECONDS = 1.0
TIMEOUT_SECONDS = 2.0
REMEMBERED = 10_000
RECENT = 1000


class ForeignProjectionError(RedisUnavailableError):
    """Another journal writes to the same keys."""

    key = "foreign_projection"


@dataclass(slots=True)
class SyncStatistics:
    """Count what the projection did."""

    up: bool = False
    projected: int = 0
    failures: int = 0
    rebuilt: int = 0
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class Lag:
    """Record how long a change took from its commit to Redis; both in monotonic seconds."""

    at: float
    seconds: float


class DataSyncManager:
    """Keep Redis up with the journal: in order, each change once, from wherever Redis says that it is."""

    def __init__(
        self,
        state: StateManager,
        url: str,
        name: str,
        redact: Redact,
        *,
        poll_seconds: float = POLL_SECONDS,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.statistics = SyncStatistics()
        self.keys = Keys(name)
        self.recent: deque[Lag] = deque(maxlen=RECENT)
        self._state = state
        self._source = state.projection
        self._target = RedisProjection(url, self.keys, redact, timeout_seconds=timeout_seconds)
        self._poll_seconds = poll_seconds
        self._listeners: list[Callable[[float], None]] = []
        self._pending: OrderedDict[str, float] = OrderedDict()
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._failing_since: float | None = None
        self._identity = ""
        self._unsubscribe: Callable[[], None] = lambda: None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to project; Redis need not be there."""
        if self._task is not None:
            return
        self._closing.clear()
        self._unsubscribe = self._state.subscribe(self._committed)
        self._task = asyncio.create_task(self._run(), name="projection to redis")

    async def stop(self) -> None:
        """Stop; what is not projected yet is so after the next start."""
        self._unsubscribe()
        self._closing.set()  # Redis' library now and then swallows a cancellation
        self._wake.set()
        if self._task is not None:
            await end_tasks(self._task)
            self._task = None
        await self._target.close()

    def time_arrivals(self, listener: Callable[[float], None]) -> None:
        """Call a listener with the seconds from commit to Redis, for each change."""
        self._listeners.append(listener)

    @property
    def lag_seconds(self) -> float:
        """Return how long Redis has been behind: since the oldest change that it lacks, or since it is unavailable."""
        since = [next(iter(self._pending.values()))] if self._pending else []
        if self._failing_since is not None:
            since.append(self._failing_since)
        return time.monotonic() - min(since) if since else 0.0

    @property
    def pending(self) -> int:
        """Return how many changes of this process Redis lacks; beyond 10,000 they are not counted."""
        return len(self._pending)

    def _committed(self, change: StateChange) -> None:
        if len(self._pending) < REMEMBERED:  # the oldest decide on the lag
            self._pending[change.id] = time.monotonic()
        self._wake.set()

    async def _run(self) -> None:
        backoff = Backoff(SOON)
        damaged = False
        while not self._closing.is_set():
            self._wake.clear()
            try:
                if damaged:
                    await self._target.clear()
                await self._catch_up()
            except RoasError as error:
                self._note_failure(error)
                damaged = isinstance(error, ProjectionDamagedError)
                await wait_for(self._closing, backoff.failed())
                continue
            except Exception as error:  # whatever is in Redis or the journal, the projection must keep running
                if self._failing_since is None:
                    log.exception("the projection to redis broke")
                self._note_failure(RoasError(said("Unexpected internal error ({name}).", name=type(error).__name__)))
                await wait_for(self._closing, SOON.longest_seconds)
                continue
            damaged = False
            backoff.succeeded()
            self._note_success()
            await wait_for(self._wake, self._poll_seconds)

    async def _catch_up(self) -> None:
        """Project everything that Redis lacks. Raises RedisUnavailableError, StateError."""
        self._identity = self._source.identity
        position = await self._target.position()
        recreate = await self._cannot_continue(position)
        expected = position.cursor
        sequence = 0 if recreate or expected is None else expected.sequence
        while not self._closing.is_set():
            known = tuple(self._pending)
            batch = await self._source.after(sequence, BATCH)
            if not batch:
                self._settle(known)
                return
            cursor = Cursor(self._identity, batch[-1].sequence, batch[-1].change.id)
            if not await self._target.append(expected, batch, cursor, recreate=recreate):
                self._wake.set()  # another process of this journal was faster: look again from where it is
                return
            self.statistics.rebuilt += recreate
            self.statistics.projected += len(batch)
            self._settle(numbered.change.id for numbered in batch)
            expected, sequence, recreate = cursor, cursor.sequence, False

    async def _cannot_continue(self, position: Position) -> bool:
        """Return whether the contents of Redis cannot be continued from this journal."""
        cursor = position.cursor
        if cursor is None:
            return True
        if cursor.journal != self._identity:
            if self.statistics.projected:
                raise ForeignProjectionError(
                    said("Another journal writes to the same keys in Redis."),
                    hint=said("Give each its own COMPOSE_PROJECT_NAME, or a database of its own in REDIS_URL."),
                )
            return True
        return not position.whole or await self._source.id_at(cursor.sequence) != cursor.change_id

    def _settle(self, change_ids: Iterable[str]) -> None:
        now = time.monotonic()
        for change_id in change_ids:
            committed = self._pending.pop(change_id, None)
            if committed is not None:
                self.recent.append(Lag(now, now - committed))
                for listener in self._listeners:
                    listener(now - committed)

    def _note_failure(self, error: RoasError) -> None:
        if self._failing_since is None:
            self._failing_since = time.monotonic()
            log.warning("projection to redis paused; the journal goes on", error=error.message, hint=error.hint)
        self.statistics.up = False
        self.statistics.failures += 1
        self.statistics.last_error = error.message

    def _note_success(self) -> None:
        if self._failing_since is not None:
            seconds = round(time.monotonic() - self._failing_since, 1)
            log.info("projection to redis caught up", behind_seconds=seconds, projected=self.statistics.projected)
        self._failing_since = None
        self.statistics.up = True
