"""Open the state folder and provide its parts: the StateManager."""

import asyncio
import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from roas.concurrency import in_thread
from roas.errors import JournalLostError, StateError
from roas.log import get_logger
from roas.messages.message import Message, said
from roas.models.deployment import Outcome, Scale, Stop
from roas.models.state_change import StateChange
from roas.models.stored import moment_of
from roas.redaction import hide
from roas.state.alerts import Alerts
from roas.state.candidates import Candidates, Deliveries, Holds
from roas.state.deployments.data_backups import DataBackups
from roas.state.deployments.deployments import DeploymentStateManager
from roas.state.deployments.figures import Records
from roas.state.deployments.locks import Freezes, Locks, ServiceMarks
from roas.state.deployments.plans_and_drafts import Approvals, Drafts
from roas.state.deployments.pruning import DEPLOYMENTS_KEPT, History
from roas.state.deployments.releases import Releases
from roas.state.documents import readable
from roas.state.journal.copies import Backup, Backups, choice_at
from roas.state.journal.journal import Journal, WriteTrouble
from roas.state.journal.place import JOURNAL_NAME
from roas.state.known_swarms import KnownSwarms
from roas.state.leader_lease import Ownership
from roas.state.living_processes import INSTANCES, Instance
from roas.state.posts import Posts, TargetPositions
from roas.state.recoveries import Recoveries
from roas.state.redis_form import ProjectionSource
from roas.state.schema import CHOSEN
from roas.state.shared.log import SharedLog
from roas.state.shared.objects import Term
from roas.state.transaction import Fence, Transaction

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
REFUSED = frozenset({errno.EACCES, errno.EPERM})
log = get_logger(__name__)
FOLDER_MODE = 0o700


def folder_unusable(folder: Path, error: OSError) -> StateError:
    """Create the error for a state folder in which nothing can be written."""
    message = said("The state folder {folder} cannot be used: {strerror}", folder=folder, strerror=error.strerror)
    return StateError(message, hint=_hint(folder, error))


def _hint(folder: Path, error: OSError) -> Message:
    if error.errno in FULL:
        return said("Check that {folder} is writable for this user and has free space.", folder=folder)
    if not folder.is_dir():
        return said("Set STATE_DIR to a folder that this user may write.")
    if error.errno == errno.EROFS:
        return said(
            "{folder} is on a file system that is mounted read-only: `findmnt -T {folder}` shows it. Mount it "
            "writable. Do not set another STATE_DIR: it would start without releases to roll back to.",
            folder=folder,
        )
    if error.errno in REFUSED:
        return said(
            "Change its owner to the bot's user: `chown -R {user} {folder}`. Do not set another STATE_DIR: it "
            "would start without releases to roll back to.",
            user=os.geteuid(),
            folder=folder,
        )
    return said(
        "Find out why {folder} cannot be written, for instance with `dmesg`. Do not set another STATE_DIR: it "
        "would start without releases to roll back to.",
        folder=folder,
    )


@dataclass(frozen=True, slots=True)
class Newest:
    """Say how far an environment has come by a journal: its last release, or -1, and when its last deployment began.

    `chosen_at` is when a person chose the journal, after which it may be older than what the engine has. Both moments
    are as ids have them.
    """

    release: int
    deployed_at: str
    chosen_at: str


class StateManager:
    """Keep the journal: every change of state is written before it takes effect, and published after the commit."""

    def __init__(
        self,
        state_dir: Path,
        *,
        instance_prefix: str = "BOT",
        instance: Instance | None = None,
        redact: Callable[[str], str] = hide,
        shared: SharedLog | None = None,
    ) -> None:
        self.shared = shared
        self.folder = state_dir.expanduser().resolve()
        self.instance = instance or Instance(self.folder / INSTANCES, instance_prefix)
        self.conflict = ""
        self._subscribers: list[Callable[[StateChange], None]] = []
        self._journal = Journal(self.folder / JOURNAL_NAME, self.instance.id, self._notify_subscribers, redact, shared)
        self.deployments = DeploymentStateManager(self._journal, self.instance.is_alive)
        self.releases = Releases(self._journal)
        self.locks = Locks(self._journal)
        self.posts = Posts(self._journal)
        self.targets = TargetPositions(self._journal)
        self.approvals = Approvals(self._journal)
        self.drafts = Drafts(self._journal)
        self.freezes = Freezes(self._journal)
        self.stops = ServiceMarks(self._journal, "stops", Stop)
        self.scales = ServiceMarks(self._journal, "scales", Scale)
        self.candidates = Candidates(self._journal)
        self.deliveries = Deliveries(self._journal)
        self.holds = Holds(self._journal)
        self.ownership = Ownership(self._journal, self.instance)
        self.alerts = Alerts(self._journal)
        self.recoveries = Recoveries(self._journal)
        self.data_backups = DataBackups(self._journal)
        self.known_swarms = KnownSwarms(self._journal)
        self.projection = ProjectionSource(self._journal)
        self.history = History(self._journal)
        self.records = Records(self._journal)
        self.backups = Backups(self.folder / JOURNAL_NAME)
        self._descriptor: int | None = None  # of the state folder, whatever becomes of its path

    @property
    def instance_id(self) -> str:
        """Return the id of this process in the journal."""
        return self.instance.id

    @property
    def journal_id(self) -> str:
        """Return the unique id of this journal; it is no secret."""
        return self._journal.id

    @property
    def lost(self) -> JournalLostError | None:
        """Return how this process lost its journal, which is final; None where it has it."""
        return self._journal.lost

    @property
    def unreadable(self) -> str:
        """Return why the journal cannot be read at present; empty where it can."""
        error = self._journal.unreadable
        return "" if error is None else error.message

    async def catch_up(self, head: int | None = None) -> bool:
        """Read what the bots on other machines wrote, at least up to an entry; returns whether there was anything.

        Raises StateError, JournalMissingError.
        """
        return await self._journal.catch_up(head)

    async def take_over(self, term: Term) -> None:
        """Begin to write what the bots on other machines read. Raises StateError, JournalMissingError."""
        await self._journal.take_over(term)

    async def check_whole(self) -> None:
        """Read every page of the journal. Raises JournalDamagedError."""
        await self._journal.check_whole()

    async def open(self) -> None:
        """Create the folder if missing, open the journal, and register this process. Raises StateError."""
        try:
            self.folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            self.folder.chmod(FOLDER_MODE)
            self.instance.announce()
            self._descriptor = os.open(self.folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise folder_unusable(self.folder, error) from error
        await self._journal.open()

    async def close(self) -> None:
        """Finish what is being written and close the journal."""
        await self._journal.close()
        self.instance.withdraw()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    async def has_begun(self) -> bool:
        """Return whether anything was deployed by this journal, or a person chose it as it is. Raises StateError."""
        row = await self._journal.read(
            lambda t: t.execute(
                "SELECT EXISTS (SELECT 1 FROM deployments) OR EXISTS (SELECT 1 FROM releases)"
                " OR EXISTS (SELECT 1 FROM projections WHERE name = ?)",
                (CHOSEN,),
            ).fetchone()
        )
        return bool(row[0])

    async def newest(self, environment: str) -> Newest:
        """Return how far an environment has come by this journal. Raises StateError."""

        def newest(transaction: Transaction) -> Newest:
            release = transaction.execute(
                "SELECT coalesce(max(number), -1) FROM releases WHERE environment = ?", (environment,)
            ).fetchone()
            deployment = transaction.execute(
                "SELECT coalesce(max(substr(id, instr(id, '-') + 1)), '') FROM deployments WHERE environment = ?",
                (environment,),
            ).fetchone()
            return Newest(int(release[0]), str(deployment[0]), moment_of(self._journal.choice))

        return await self._journal.read(newest)

    async def may_have_written(self, deployment_id: str, environment: str) -> bool:
        """Return whether what a deployment wrote is of this journal: it has it, or had it before it dropped old ones.

        One that has not brought an environment anywhere yet has taken over what is there. Raises StateError.
        """
        row = await self._journal.read(
            lambda transaction: transaction.execute(
                "SELECT EXISTS (SELECT 1 FROM deployments WHERE id = ?)"
                " OR NOT EXISTS (SELECT 1 FROM deployments WHERE environment = ? AND outcome = ?)"
                " OR (SELECT count(*) FROM deployments) >= ?",
                (deployment_id, environment, Outcome.SUCCEEDED, DEPLOYMENTS_KEPT),
            ).fetchone()
        )
        return bool(row[0])

    async def rescue(self) -> Path | None:
        """Copy what this process still holds of its lost journal, and tell others that it acts no more.

        Returns where the copy is, below the folder that this process opened; None where nothing whole is left.
        """
        self.instance.note_idle()
        held = Path(f"/proc/self/fd/{self._descriptor}")

        def copy(connection: sqlite3.Connection) -> Backup | None:
            folder = held if held.stat().st_nlink else self.folder  # a removed folder takes nothing any more
            return self.backups.rescue(connection, self.journal_id, folder)

        backup = await self._journal.copy_what_is_held(copy)
        return None if backup is None else self.backups.folder / backup.path.name

    async def is_chosen_again(self) -> bool:
        """Return whether a person has put another journal in the place of this one, by `roas restore`."""
        chosen = await in_thread(choice_at, self.folder / JOURNAL_NAME)
        return chosen not in {None, self._journal.choice}

    async def __aenter__(self) -> "StateManager":
        try:
            await self.open()
        except BaseException:  # a load that was cancelled, too: nobody else would end what is half open
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def subscribe(self, callback: Callable[[StateChange], None]) -> Callable[[], None]:
        """Call a callback with every change after its commit; returns a function that ends the subscription."""
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            with suppress(ValueError):
                self._subscribers.remove(callback)

        return unsubscribe

    @contextmanager
    def watched(self) -> Iterator[asyncio.Event]:
        """Provide what every change sets after its commit, for the length of the block."""
        changed = asyncio.Event()
        unsubscribe = self.subscribe(lambda _change: changed.set())
        try:
            yield changed
        finally:
            unsubscribe()

    async def record(self, change: StateChange, fence: Fence | None = None) -> None:
        """Write a change. Raises FencedOffError, StateError."""
        await self._journal.write(lambda transaction: transaction.add_change(change), fence=fence)

    async def changes(
        self, environment: str | None = None, *, limit: int = 100, after: int = 0
    ) -> tuple[StateChange, ...]:
        """Return the last changes, oldest first; `after` is a sequence number."""

        def work(transaction: Transaction) -> tuple[StateChange, ...]:
            rows = transaction.execute(
                "SELECT document FROM changes WHERE sequence > ? AND (? IS NULL OR environment = ?)"
                " ORDER BY sequence DESC LIMIT ?",
                (after, environment, environment, limit),
            ).fetchall()
            return readable(StateChange, (row[0] for row in reversed(rows)))

        return await self._journal.read(work)

    async def changes_since(self, sequence: int, *, limit: int = 500) -> tuple[int, tuple[StateChange, ...]]:
        """Return up to which sequence number was read, and the changes after the given one, oldest first.

        A row that this version cannot read is skipped, and delays nothing.
        """
        rows = await self._journal.read(lambda transaction: transaction.changes_after(sequence, limit))
        return (rows[-1][0] if rows else sequence), readable(StateChange, (row[1] for row in rows))

    async def check_usable(self) -> None:
        """Read the journal, and raise the StateError of the last write where that failed."""
        await self.last_sequence()
        self._journal.check_writable()

    def take_write_trouble(self) -> WriteTrouble | None:
        """Return, once, the last time in which nothing could be written, when it is over."""
        return self._journal.take_write_trouble()

    async def last_sequence(self) -> int:
        """Return the number of the last change; also proves that the journal can be read."""
        row = await self._journal.read(lambda t: t.execute("SELECT max(sequence) FROM changes").fetchone())
        return int(row[0] or 0)

    def _notify_subscribers(self, change: StateChange) -> None:
        for callback in tuple(self._subscribers):
            try:
                callback(change)
            except Exception:  # the change is written; one subscriber's fault must not reach another
                log.exception("subscriber of the journal failed", change_id=change.id, change_type=change.type)
