"""Open the SQLite journal and run its transactions, one after the other, in a thread of its own."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from roas.concurrency import started_threads
from roas.errors import (
    FencedOffError,
    JournalDamagedError,
    JournalHeldError,
    JournalLostError,
    JournalUnusableError,
    StateError,
)
from roas.messages.message import said
from roas.models.state_change import StateChange
from roas.state.journal.place import JournalPlace, moved
from roas.state.schema import give_identity, migrate, read_choice
from roas.state.shared.log import SharedLog
from roas.state.shared.objects import Term
from roas.state.shared.replica import note_changes, read_position, take_changes
from roas.state.transaction import Fence, Model, Transaction, run_apart

DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


@dataclass(frozen=True, slots=True)
class WriteTrouble:
    """Describe a time in which the journal could not be written; `seconds` is its length, until writes worked again."""

    reason: str
    refused: int
    seconds: float


class Refusals:
    """Remember the writes that failed since the last that did not."""

    def __init__(self) -> None:
        self.error: StateError | None = None
        self.over: WriteTrouble | None = None
        self._since = 0.0
        self._count = 0

    def note(self, error: StateError) -> None:
        """Count one more that failed."""
        if self.error is None:
            self._since, self._count = time.monotonic(), 0
        self.error = error
        self._count += 1

    def end(self) -> None:
        """Note that one did not fail: the trouble is over."""
        if self.error is not None:
            self.over = WriteTrouble(self.error.message, self._count, time.monotonic() - self._since)
            self.error = None


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether SQLite cannot make sense of the file: no fault of the disk's that may pass."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in DAMAGED


def damage(path: Path, text: str) -> JournalDamagedError:
    """Return the error that says that a journal is damaged, and how to bring it back."""
    return JournalDamagedError(
        said("The journal {path} is damaged: {text}", path=path.name, text=text),
        hint=said(
            "`roas restore`, run where the bot runs, puts the newest whole copy in its place, and the bot goes on by "
            "that."
        ),
    )


def is_moved(error: Exception) -> bool:
    """Return whether SQLite sees that what it has open is not at its path any more; it calls that read-only."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_READONLY_DBMOVED


def refusal(path: Path, error: Exception) -> JournalUnusableError:
    """Return the error that says why a journal cannot be used now; that may pass."""
    if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
        return JournalHeldError(
            said("The journal {path} is locked by another process, which does not release it.", path=path.name),
            hint=said(
                "Find the process that hangs or was stopped (`fuser {path}`), then resume it, or end it.", path=path
            ),
        )
    return JournalUnusableError(
        said("The journal {path} cannot be used: {error}", path=path.name, error=str(error) or type(error).__name__),
        hint=said("Check that {folder} is writable for this user and has free space.", folder=path.parent),
    )


# A commit of more would keep readers waiting; far more than that never waits in practice.
MOST_WRITES = 64
BUSY_TIMEOUT_MILLISECONDS = 10_000
READING = "DEFERRED"
# What a deployment reads and writes again; SQLite would keep two megabytes, and what is older is the system's to keep.
CACHE_KIBIBYTES = 768


@dataclass(slots=True)
class QueuedWrite:
    """Hold a write until it is committed; `done` gets what it returned, or the exception that it raised."""

    work: Any
    done: asyncio.Future[Any]


# Commit a batch and return what each write returned or raised, in the same order. It raises nothing.
CommitBatch = Callable[[list[Any]], Awaitable[list[Any]]]


class GroupCommit:
    """Pass writes to a commit in the order in which they came; those that come during one share the next."""

    def __init__(self, commit: CommitBatch) -> None:
        self._commit = commit
        self._waiting: list[QueuedWrite] = []
        self._committing: asyncio.Task[None] | None = None

    async def submit(self, work: Any) -> Any:
        """Return what a write returned once it is committed; raises what it raised."""
        queued = QueuedWrite(work, asyncio.get_running_loop().create_future())
        self._waiting.append(queued)
        if self._committing is None or self._committing.done():
            self._committing = asyncio.create_task(self._commit_all(), name="journal commits")
        return await queued.done

    async def _commit_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST_WRITES], self._waiting[MOST_WRITES:]
            try:
                outcomes = await self._commit([write.work for write in batch])
            except BaseException:
                for write in (*batch, *self._waiting):
                    write.done.cancel()
                raise
            for queued_write, outcome in zip(batch, outcomes, strict=True):
                _settle(queued_write.done, outcome)


def _settle(done: asyncio.Future[Any], outcome: Any) -> None:
    if done.done():
        return
    if isinstance(outcome, BaseException):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)


Result = TypeVar("Result")
QueuedWork = tuple[Callable[[Transaction], Any], Fence | None]


class Journal:
    """Run transactions on the journal. WAL lets other processes read meanwhile; `synchronous=FULL` loses nothing.

    One that is `shared` with bots on other machines is read by a connection and in a thread of its own: a write waits
    for the Swarm.
    """

    def __init__(
        self,
        path: Path,
        instance_id: str,
        after_commit: Callable[[StateChange], None],
        redact: Callable[[str], str] = str,
        shared: SharedLog | None = None,
    ) -> None:
        self._redact = redact
        self._shared = shared
        self._reading: tuple[ThreadPoolExecutor, sqlite3.Connection] | None = None
        self._is_copy = False
        self._path = path
        self._instance_id = instance_id
        self._after_commit = after_commit
        self._thread: ThreadPoolExecutor | None = None  # started when it is opened
        self._connection: sqlite3.Connection | None = None
        self._writes: set[asyncio.Task[object]] = set()
        self._commits = GroupCommit(self._commit)
        self._refusals = Refusals()
        self._place = JournalPlace(path)
        self.id = ""
        # By which choice of a person this journal was at its place when it was opened.
        self.choice = ""
        self.lost: JournalLostError | None = None
        # Why nothing can be read, for as long as that is so.
        self.unreadable: JournalUnusableError | None = None
        self.last_beat: str | None = None

    async def beat(self, work: Callable[[Transaction], Result], row: str) -> Result:
        """Check that the open journal is still the one at its path, then write this process's heartbeat, a `row`.

        Both in one visit to the thread: it is done each second for as long as a bot runs. Raises JournalLostError,
        which is final, and StateError.
        """
        is_place_checked = False

        def read_and_write() -> Result:
            nonlocal is_place_checked
            self._check_place()
            is_place_checked = True
            result, _changes = self._run_transaction(work, "IMMEDIATE")
            self.last_beat = row
            return result

        try:
            result = await self._in_thread(read_and_write)
        except JournalUnusableError as error:
            self._refusals.note(error)
            if not is_place_checked:
                self.unreadable = error
            raise
        self._refusals.end()
        self.unreadable = None
        return result

    def _check_place(self) -> None:
        connection = self._connected()
        with self._noting_loss():
            self._place.check()
            self._place.check_folder()
            self._place.check_content(connection, self.id, self._instance_id, self.last_beat)

    def check_writable(self) -> None:
        """Raise the StateError of the last write, where that failed."""
        if self._refusals.error is not None:
            raise self._refusals.error

    def take_write_trouble(self) -> WriteTrouble | None:
        """Return, once, the last time in which nothing could be written, when it is over."""
        over, self._refusals.over = self._refusals.over, None
        return over

    async def open(self) -> None:
        """Open the journal and add what this version knows. Raises StateError."""
        self._thread = self._thread or started_threads(1, "journal")
        await self._in_thread(self._connect)
        if self._shared is not None:
            self._reading = started_threads(1, "journal-reads"), self._open_connection()

    async def catch_up(self, head: int | None) -> bool:
        """Read what the bots on other machines wrote, at least up to an entry; returns whether there was anything.

        Raises StateError, JournalMissingError.
        """
        return await self._with_shared(lambda shared, connection: shared.catch_up(connection, head))

    async def take_over(self, term: Term) -> None:
        """Begin to write what all bots have. Raises StateError, JournalMissingError."""
        await self._with_shared(lambda shared, connection: shared.take_over(connection, term))

    async def _with_shared(self, work: Callable[[SharedLog, sqlite3.Connection], Result]) -> Result:
        """Do what may make this journal what another machine's is, in its thread."""

        def do() -> Result:
            if self._shared is None:
                raise _closed()
            connection = self._connected()
            try:
                with self._noting_loss():
                    return work(self._shared, connection)
            finally:  # what was read before an answer was lost may have made it another journal already
                self.id, self.choice = give_identity(connection), read_choice(connection)

        return await self._in_thread(do)

    async def check_whole(self) -> None:
        """Read every page of the journal. Raises JournalDamagedError, which is final."""
        found = await self.read(lambda t: [row[0] for row in t.execute("PRAGMA quick_check(3)").fetchall()])
        if found != ["ok"]:
            self.lost = damaged = damage(self._path, "; ".join(map(str, found)))
            raise damaged

    async def copy_what_is_held(self, copy: Callable[[sqlite3.Connection], Result]) -> Result:
        """Copy the journal from what this process has open, whatever lies at its path by now. Raises StateError."""
        return await self._in_thread(lambda: copy(self._connected()))

    async def close(self) -> None:
        """Finish what is under way and close the journal."""
        await asyncio.gather(*self._writes, return_exceptions=True)
        if self._reading is not None:
            threads, connection = self._reading
            await asyncio.get_running_loop().run_in_executor(threads, connection.close)
            threads.shutdown(wait=False)
            self._reading = None
        if self._connection is not None:
            await self._in_thread(self._connection.close)
            self._connection = None
        if self._thread is not None:
            self._thread.shutdown(wait=False)

    async def write(self, work: Callable[[Transaction], Result], *, fence: Fence | None = None) -> Result:
        """Run a writing transaction, then notify subscribers. Cancelling the caller does not interrupt it.

        Raises FencedOffError, StateError.
        """
        task = asyncio.create_task(self._write(work, fence))
        self._writes.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        """Read what became of a write: a caller that was cancelled does not, and why it failed is noted already."""
        self._writes.discard(task)
        if not task.cancelled():
            task.exception()

    async def read(self, work: Callable[[Transaction], Result]) -> Result:
        """Run a reading transaction. Raises StateError."""
        return await self._noting_unreadable(lambda: self._transact(work, READING, None)[0])

    async def select(self, model: type[Model], rows: str, *parameters: object) -> tuple[Model, ...]:
        """Return the documents of rows; see `Transaction.select`. Raises StateError."""
        return await self.read(lambda transaction: transaction.select(model, rows, *parameters))

    async def find(self, model: type[Model], rows: str, *parameters: object) -> Model | None:
        """Return the document of a row, or None; see `Transaction.find`. Raises StateError."""
        return await self.read(lambda transaction: transaction.find(model, rows, *parameters))

    async def put(self, table: str, document: object, **columns: object) -> None:
        """Write a row with a document; see `Transaction.put`. Raises StateError."""
        await self.write(lambda transaction: transaction.put(table, document, **columns))

    async def _noting_unreadable(self, work: Callable[[], Result]) -> Result:
        """Read, and remember whether that is possible: a bot that cannot read leads nobody and answers nothing."""
        try:
            result = await self._in_thread(work, None if self._reading is None else self._reading[0])
        except JournalUnusableError as error:
            self.unreadable = error
            raise
        self.unreadable = None
        return result

    async def _write(self, work: Callable[[Transaction], Result], fence: Fence | None) -> Result:
        try:
            result, changes = await self._commits.submit((work, fence))
        except FencedOffError:
            raise
        except JournalUnusableError as error:
            self._refusals.note(error)
            raise
        self._refusals.end()
        for change in changes:
            self._after_commit(change)
        written: Result = result
        return written

    async def _commit(self, writes: list[QueuedWork]) -> list[Any]:
        """Commit writes together; returns the result and the changes of each, or what it raised."""
        try:
            outcomes = await asyncio.get_running_loop().run_in_executor(self._running, self._transact_all, writes)
        except Exception as error:
            outcomes = [error] * len(writes)
        return [self._typed(outcome) if isinstance(outcome, Exception) else outcome for outcome in outcomes]

    def _transact_all(self, writes: list[QueuedWork]) -> list[Any]:
        if len(writes) == 1:
            return [self._transact(writes[0][0], "IMMEDIATE", writes[0][1])]
        return self._transact(lambda all_: [run_apart(all_, *write) for write in writes], "IMMEDIATE", None)[0]

    def _connect(self) -> None:
        self._path.touch(mode=0o600, exist_ok=True)
        self._path.chmod(0o600)
        connection = self._open_connection()
        migrate(connection)
        self.id = give_identity(connection)
        self.choice = read_choice(connection)
        self._place.remember()
        self._is_copy = read_position(connection) is not None
        if self._shared is not None:
            self._shared.attach(connection)
        elif self._is_copy:
            note_changes(connection)
        self._connection = connection

    def _open_connection(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MILLISECONDS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIBIBYTES}")
        return connection

    @contextmanager
    def _noting_loss(self) -> Iterator[None]:
        """Record that the journal was lost: whatever is at its path later, others may have acted meanwhile."""
        if self.lost is not None:
            raise JournalLostError(self.lost.message, hint=self.lost.hint)
        try:
            yield
        except JournalLostError as error:
            self.lost = error
            raise

    def _transact(
        self, work: Callable[[Transaction], Result], mode: str, fence: Fence | None
    ) -> tuple[Result, list[StateChange]]:
        self._connected()
        with self._noting_loss():
            self._place.check()
        return self._run_transaction(work, mode, fence)

    def _run_transaction(
        self, work: Callable[[Transaction], Result], mode: str, fence: Fence | None = None
    ) -> tuple[Result, list[StateChange]]:
        """Run a transaction on the journal, which was just seen to be the one at its path."""
        is_reading = mode == READING
        connection = self._reading[1] if is_reading and self._reading is not None else self._connected()
        transaction = Transaction(connection, self._instance_id, self._redact)
        connection.execute(f"BEGIN {mode}")
        try:
            if fence is not None:
                transaction.check(fence)
            result = work(transaction)
            if not is_reading:
                self._share(connection)
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # a full disk has rolled back already
                connection.execute("ROLLBACK")
            raise
        return result, transaction.changes

    def _share(self, connection: sqlite3.Connection) -> None:
        """Have the Swarm keep what is about to be committed. Raises FencedOffError, JournalUnusableError."""
        if self._shared is not None:
            self._shared.commit(connection)
        elif self._is_copy and take_changes(connection):
            raise FencedOffError(
                said("This journal is a copy: only the leader changes it, in the Swarm."),
                hint=said(
                    "Use that bot, or set SWARM_STATE_KEY_FILE. Where there is no such Swarm any more, `roas restore "
                    "--keep` makes this copy a journal by itself."
                ),
            )

    @property
    def _running(self) -> ThreadPoolExecutor:
        if self._thread is None:
            raise _closed()
        return self._thread

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            raise _closed()
        return self._connection

    async def _in_thread(self, work: Callable[[], Result], thread: ThreadPoolExecutor | None = None) -> Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(thread or self._running, work)
        except (sqlite3.Error, OSError, MemoryError) as error:
            typed = self._typed(error)
            if typed is error:
                raise
            raise typed from error

    def _typed(self, error: Exception) -> Exception:
        """Return the journal's own error for one of SQLite or the disk; damage is final."""
        if isinstance(error, sqlite3.IntegrityError) or not isinstance(error, sqlite3.Error | OSError | MemoryError):
            return error
        typed: Exception
        if isinstance(error, sqlite3.DatabaseError) and is_damage(error):
            typed = self.lost = damage(self._path, str(error))
        elif is_moved(error):
            typed = self.lost = moved(self._path)
        else:
            typed = refusal(self._path, error)
        typed.__cause__ = error
        return typed


def _closed() -> StateError:
    return StateError(said("The journal is closed."), hint=said("Start the bot again."))
