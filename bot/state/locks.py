"""Lock environments: one deployment at a time, and a fencing token that grows with every owner."""

from roas.held_environment import LockHeldError
from roas.models.change import ChangeType, StateChange
from roas.models.deployment import Lock
from roas.state.documents import from_row, readable, to_json
from roas.state.journal import Journal
from roas.state.transaction import Fence, Transaction


class Locks:
    """Acquire and release deployment locks."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def get(self, environment: str) -> Lock | None:
        """Return who holds an environment, or None."""
        return await self._journal.read(lambda transaction: read_lock(transaction, environment))

    async def all(self) -> tuple[Lock, ...]:
        """Return every lock that is held."""
        rows = await self._journal.read(
            lambda t: t.execute("SELECT document FROM locks ORDER BY environment").fetchall()
        )
        return readable(Lock, (row[0] for row in rows))

    async def check(self, fence: Fence) -> None:
        """Raise FencedOffError where another process has taken the environment over since."""
        await self._journal.read(lambda transaction: transaction.check(fence))


def read_lock(transaction: Transaction, environment: str) -> Lock | None:
    """Return who holds an environment within a transaction."""
    row = transaction.execute("SELECT document FROM locks WHERE environment = ?", (environment,)).fetchone()
    return from_row(Lock, row[0]) if row else None


def locks_of(transaction: Transaction, instance_id: str) -> tuple[Lock, ...]:
    """Return the locks that a process holds within a transaction."""
    rows = transaction.execute("SELECT document FROM locks WHERE instance_id = ?", (instance_id,)).fetchall()
    return readable(Lock, (row[0] for row in rows))


def take_lock(
    transaction: Transaction, wanted: Lock, *, from_instance: str | None = None, correlation_id: str = ""
) -> Lock:
    """Acquire the lock with the next token; `from_instance` names the dead owner that it may be taken from.

    Raises LockHeldError where another holds it.
    """
    held = read_lock(transaction, wanted.environment)
    if held is not None and held.instance_id != from_instance:
        raise LockHeldError(held)
    token = next_token(transaction, wanted.environment)
    lock = Lock(
        environment=wanted.environment,
        deployment_id=wanted.deployment_id,
        held_by=wanted.held_by,
        purpose=wanted.purpose,
        since=wanted.since,
        instance_id=transaction.instance_id,
        token=token,
        paused=wanted.paused,
    )
    put_lock(transaction, lock)
    old = held.deployment_id if held else None
    transaction.add_change(_change(lock, old=old, new=lock.deployment_id, correlation_id=correlation_id))
    return lock


def put_lock(transaction: Transaction, lock: Lock) -> None:
    """Write a lock as it is."""
    transaction.execute(
        "INSERT OR REPLACE INTO locks (environment, deployment_id, instance_id, token, document)"
        " VALUES (?, ?, ?, ?, ?)",
        (lock.environment, lock.deployment_id, lock.instance_id, lock.token, to_json(lock)),
    )


def release_lock(transaction: Transaction, environment: str, correlation_id: str = "") -> None:
    """Release the lock; the caller's fence was checked."""
    held = read_lock(transaction, environment)
    if held is not None:
        transaction.execute("DELETE FROM locks WHERE environment = ?", (environment,))
        transaction.add_change(_change(held, old=held.deployment_id, new=None, correlation_id=correlation_id))


def next_token(transaction: Transaction, name: str) -> int:
    """Return a token that is higher than every one before it of that name."""
    row = transaction.execute(
        "INSERT INTO fences (name, token) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET token = token + 1"
        " RETURNING token",
        (name,),
    ).fetchone()
    return int(row[0])


def _change(lock: Lock, *, old: str | None, new: str | None, correlation_id: str) -> StateChange:
    return StateChange(
        type=ChangeType.LOCK_CHANGED,
        source="locks",
        environment=lock.environment,
        subject=lock.environment,
        old=old,
        new=new,
        metadata={"token": lock.token, "held_by": lock.held_by.name, "purpose": lock.purpose},
        correlation_id=correlation_id,
    )
