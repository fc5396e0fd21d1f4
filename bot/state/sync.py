"""Project the journal to Redis, whatever becomes of Redis meanwhile: the DataSyncManager."""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from roas.backoff import SOON, Backoff
from roas.concurrency import end_tasks, wait_for
from roas.errors import RoasError
from roas.log import get_logger
from roas.messages.message import said
from roas.models.change import StateChange
from roas.state.manager import StateManager
from roas.state.projection import Cursor, Keys, Redact
from roas.state.redis_server import RedisUnavailableError
from roas.state.sync_target import Position, ProjectionDamagedError, RedisProjection

log = get_logger(__name__)

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

    def start(self) -> None:
        """Begin to project; Redis need not be there."""
        if self._task is not None:
            return
        self._closing.clear()
        self._unsubscribe = self._state.subscribe(self._committed)
        self._task = asyncio.create_task(self._run(), name="projection to redis")

    async def close(self) -> None:
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
                self._note_failure(RoasError(said("The Redis sync failed ({name}).", name=type(error).__name__)))
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
        anew = await self._cannot_continue(position)
        expected = position.cursor
        sequence = 0 if anew or expected is None else expected.sequence
        while not self._closing.is_set():
            known = tuple(self._pending)
            batch = await self._source.after(sequence, BATCH)
            if not batch:
                self._settle(known)
                return
            cursor = Cursor(self._identity, batch[-1].sequence, batch[-1].change.id)
            if not await self._target.append(expected, batch, cursor, anew=anew):
                self._wake.set()  # another process of this journal was faster: look again from where it is
                return
            self.statistics.rebuilt += anew
            self.statistics.projected += len(batch)
            self._settle(numbered.change.id for numbered in batch)
            expected, sequence, anew = cursor, cursor.sequence, False

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
