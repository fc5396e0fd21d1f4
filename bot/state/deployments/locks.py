"""Keep others from an environment: the lock of a running deployment, and the freeze that a person sets."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Generic, TypeVar

from roas.errors import InvalidRequestError, RoasError
from roas.messages.message import Message, joined, said
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import DeploymentRequest, Freeze, Lock, Scale, Stop
from roas.models.environment import OF_HOST, whole_of
from roas.models.gate import Gate, GateDecision, judge_request
from roas.models.state_change import ChangeType, StateChange
from roas.state.documents import readable
from roas.state.journal.journal import Journal
from roas.state.transaction import Fence, Transaction

FREEZES = "freezes"
# Whose id the end of a freeze by its time has, which the channel was told of before.
SCHEDULE = "schedule"


class LockHeldError(RoasError):
    """Another deployment holds the environment."""

    key = "lock_held"

    def __init__(self, lock: Lock) -> None:
        held = said(
            "{environment} is held by {held_by} since {since} UTC: {purpose}",
            environment=lock.environment,
            held_by=lock.held_by.name,
            since=f"{lock.since:%Y-%m-%d %H:%M:%S}",
            purpose=lock.purpose,
        )
        if not lock.is_partial:
            super().__init__(
                held, hint=said("Wait for {deployment_id} to end, or cancel it.", deployment_id=lock.deployment_id)
            )
        else:
            super().__init__(
                said("{held}. It is paused, and waits for a decision.", held=held),
                hint=said(
                    "Resume {deployment_id} or roll it back: its message in the channel has the buttons, or use "
                    "`roas resume {environment}`.",
                    deployment_id=lock.deployment_id,
                    environment=lock.environment,
                ),
            )
        self.lock = lock


class FrozenError(RoasError):
    """A freeze is set on the environment."""

    key = "frozen"

    @classmethod
    def of(cls, freeze: Freeze, judgement: GateDecision | None = None) -> "FrozenError":
        """Create the error: who set the freeze, since when, why, and how to lift it, or to pass it."""
        if judgement is not None and judgement.needs_reason:
            hint = said("It passes with a reason: `reason:` in the channel, `--reason` on the command line.")
        else:
            hint = said(
                "Ask {frozen_by}; `/unlock {environment}` or `roas unlock {environment}` opens it again.",
                frozen_by=freeze.frozen_by.name,
                environment=freeze.environment,
            )
        if freeze.until is not None:
            return cls(
                said(
                    "{environment} is locked by {frozen_by} until {until} UTC: {reason}",
                    environment=freeze.environment,
                    frozen_by=freeze.frozen_by.name,
                    until=f"{freeze.until:%Y-%m-%d %H:%M:%S}",
                    reason=freeze.reason,
                ),
                hint=hint,
            )
        return cls(
            said(
                "{environment} is locked by {frozen_by} since {since} UTC: {reason}",
                environment=freeze.environment,
                frozen_by=freeze.frozen_by.name,
                since=f"{freeze.since:%Y-%m-%d %H:%M:%S}",
                reason=freeze.reason,
            ),
            hint=hint,
        )


class Locks:
    """Acquire and release deployment locks."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def get(self, environment: str) -> Lock | None:
        """Return who holds an environment, or None."""
        return await self._journal.read(lambda transaction: read_lock(transaction, environment))

    async def all(self) -> tuple[Lock, ...]:
        """Return every lock that is held."""
        return await self._journal.select(Lock, "locks ORDER BY environment")

    async def check(self, fence: Fence) -> None:
        """Raise FencedOffError where another process has taken the environment over since."""
        await self._journal.read(lambda transaction: transaction.check(fence))


def read_lock(transaction: Transaction, environment: str) -> Lock | None:
    """Return who holds an environment within a transaction."""
    return transaction.find(Lock, "locks WHERE environment = ?", environment)


def locks_of(transaction: Transaction, instance_id: str) -> tuple[Lock, ...]:
    """Return the locks that a process holds within a transaction."""
    return transaction.select(Lock, "locks WHERE instance_id = ?", instance_id)


def take_lock(
    transaction: Transaction,
    wanted: Lock,
    *,
    from_instance: str | None = None,
    correlation_id: str = "",
    part_of: str = "",
) -> Lock:
    """Acquire the lock with the next token; `from_instance` names the dead owner that it may be taken from.

    What is on many hosts and each of these hold each other up, but for the deployment that this one is `part_of`.
    Raises LockHeldError where another holds it.
    """
    held = read_lock(transaction, wanted.environment)
    if held is not None and held.instance_id != from_instance:
        raise LockHeldError(held)
    if from_instance is None and (other := _held_beside(transaction, wanted.environment, part_of)) is not None:
        raise LockHeldError(other)
    token = next_token(transaction, wanted.environment)
    lock = replace(wanted, instance_id=transaction.instance_id, token=token)
    put_lock(transaction, lock)
    old = held.deployment_id if held else None
    transaction.add_change(_change(lock, old=old, new=lock.deployment_id, correlation_id=correlation_id))
    return lock


def _held_beside(transaction: Transaction, environment: str, part_of: str) -> Lock | None:
    """Return who holds all of the hosts that an environment is one of, or one of its own hosts."""
    if (whole := whole_of(environment)) != environment:
        held = read_lock(transaction, whole)
        return None if held is None or held.deployment_id == part_of else held
    return transaction.find(Lock, "locks WHERE instr(environment, ?) = 1", f"{environment}{OF_HOST}")


def put_lock(transaction: Transaction, lock: Lock) -> None:
    """Write a lock as it is."""
    columns = {"deployment_id": lock.deployment_id, "instance_id": lock.instance_id, "token": lock.token}
    transaction.put("locks", lock, environment=lock.environment, **columns)


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


class Freezes:
    """Freeze environments, and lift freezes."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def get(self, environment: str) -> Freeze | None:
        """Return the freeze of an environment, or None."""
        return await self._journal.read(lambda transaction: read_freeze(transaction, environment))

    async def all(self) -> tuple[Freeze, ...]:
        """Return every freeze."""
        return await self._journal.select(Freeze, "freezes ORDER BY environment")

    async def put(self, freeze: Freeze) -> None:
        """Freeze an environment. Raises FrozenError where it is frozen already; the earlier reason is kept."""

        def work(transaction: Transaction) -> None:
            refuse_frozen(transaction, freeze.environment)
            transaction.put("freezes", freeze, environment=freeze.environment)
            transaction.add_change(_freeze_change(freeze, freeze.frozen_by, "frozen"))

        await self._journal.write(work)

    async def typed_since(self, sequence: int) -> tuple[int, tuple[StateChange, ...]]:
        """Return up to which number was read, and who locked or unlocked what on a command line since then."""
        where = "SELECT document FROM changes WHERE sequence > ? AND sequence <= ? AND source = ? ORDER BY sequence"

        def work(transaction: Transaction) -> tuple[int, tuple[StateChange, ...]]:
            newest = int(transaction.execute("SELECT max(sequence) FROM changes").fetchone()[0] or 0)
            rows = transaction.execute(where, (sequence, newest, FREEZES)).fetchall()
            return newest, readable(StateChange, (row[0] for row in rows))

        newest, changes = await self._journal.read(work)
        return newest, tuple(filter(_is_typed, changes))

    async def change(self, change_id: str) -> StateChange | None:
        """Return what was written when somebody locked or unlocked an environment."""
        return await self._journal.find(StateChange, "changes WHERE id = ?", change_id)

    async def lift(self, environment: str, actor: Actor, *, only: Freeze | None = None) -> Freeze:
        """Lift the freeze of an environment, or that one `only`; returns it. Raises InvalidRequestError."""

        def work(transaction: Transaction) -> Freeze:
            freeze = read_freeze(transaction, environment)
            if freeze is None or (only is not None and freeze != only):
                raise InvalidRequestError(said("{environment} is not locked.", environment=environment))
            transaction.execute("DELETE FROM freezes WHERE environment = ?", (environment,))
            transaction.add_change(_freeze_change(freeze, actor, "unlocked"))
            return freeze

        return await self._journal.write(work)


def describe_mark(mark: Stop | Scale) -> Message:
    """Say who stopped or scaled a service, when and why."""
    when = f"{mark.since:%Y-%m-%d %H:%M} UTC"
    if isinstance(mark, Stop):
        said_by = said("was stopped by {person}, {when}", person=mark.stopped_by.name, when=when)
    else:
        said_by = said(
            "was scaled to {count} by {person}, {when}", count=mark.replicas, person=mark.scaled_by.name, when=when
        )
    return joined(": ", filter(None, (said_by, mark.reason)))


Mark = TypeVar("Mark", Stop, Scale)


class ServiceMarks(Generic[Mark]):
    """Remember what people did to services beside the release, which each has a table of its own for.

    What was stopped is so until it runs again, what was scaled until its files say another number.
    """

    def __init__(self, journal: Journal, table: str, model: type[Mark]) -> None:
        self._journal = journal
        self._table = table
        self._model: type[Mark] = model

    async def of(self, environment: str) -> dict[str, Mark]:
        """Return the marks of an environment, by service."""
        marks = await self._journal.select(self._model, f"{self._table} WHERE environment = ?", environment)
        return {mark.service: mark for mark in marks}

    async def put(self, mark: Mark, fence: Fence) -> None:
        """Write a mark, before the act. Raises FencedOffError."""
        await self._journal.write(lambda transaction: self._put(transaction, mark), fence=fence)

    async def lift(self, environment: str, service: str, fence: Fence | None = None) -> None:
        """Drop the mark of a service, which is as its release says, or about to be. Raises FencedOffError."""
        statement = f"DELETE FROM {self._table} WHERE environment = ? AND service = ?"  # noqa: S608 - a fixed name
        await self._journal.write(
            lambda transaction: transaction.execute(statement, (environment, service)), fence=fence
        )

    def put_all(self, transaction: Transaction, environment: str, marks: Iterable[Mark]) -> None:
        """Write all the marks of an environment; no other service has one any more."""
        transaction.execute(f"DELETE FROM {self._table} WHERE environment = ?", (environment,))  # noqa: S608 - as above
        for mark in marks:
            self._put(transaction, mark)

    def _put(self, transaction: Transaction, mark: Mark) -> None:
        transaction.put(self._table, mark, environment=mark.environment, service=mark.service)


def read_freeze(transaction: Transaction, environment: str) -> Freeze | None:
    """Return the freeze of an environment within a transaction."""
    return transaction.find(Freeze, "freezes WHERE environment = ?", environment)


def refuse_frozen(
    transaction: Transaction, environment: str, request: DeploymentRequest | None = None
) -> Freeze | None:
    """Raise FrozenError where an environment is frozen, unless a request passes that; returns the freeze it passes.

    Of one on many hosts that is so where any of these is, and of a host where all of them are; what is a part of a
    deployment passes as that one did.
    """
    if request is not None and request.part_of:
        return None
    freeze = read_freeze(transaction, environment) or read_freeze(transaction, whole_of(environment))
    if freeze is None:
        freeze = transaction.find(Freeze, "freezes WHERE instr(environment, ?) = 1", f"{environment}{OF_HOST}")
    if freeze is not None:
        judgement = None if request is None else judge_request(request, {Gate.FREEZE})
        if judgement is None or not judgement.may_begin:
            raise FrozenError.of(freeze, judgement)
    return freeze


def _freeze_change(freeze: Freeze, actor: Actor, text: str) -> StateChange:
    return StateChange(
        type=ChangeType.AUDIT,
        source=FREEZES,
        environment=freeze.environment,
        subject=freeze.environment,
        new=text,
        metadata={
            "by": actor.name,
            "id": actor.id,
            "kind": actor.kind.value,
            "reason": freeze.reason,
            "frozen_by": freeze.frozen_by.name,
            "until": "" if freeze.until is None else freeze.until.isoformat(),
        },
    )


def _is_typed(change: StateChange) -> bool:
    """Return whether a person typed it at a terminal: what is done in the channel is seen there."""
    return change.metadata.get("kind") == ActorKind.SYSTEM and str(change.metadata.get("id")) != SCHEDULE
