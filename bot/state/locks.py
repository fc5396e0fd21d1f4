"""Keep others from an environment: the lock of a running deployment, and the freeze that a person sets."""

from collections.abc import Iterable

from roas.errors import InvalidRequestError, RoasError
from roas.messages.message import Message, joined, said
from roas.models.actor import Actor
from roas.models.change import ChangeType, StateChange
from roas.models.deployment import DeploymentRequest, Freeze, Lock, Scale, Stop
from roas.models.gate import Gate, Judgement, judge_request
from roas.state.documents import from_row, readable, to_json
from roas.state.journal import Journal
from roas.state.transaction import Fence, Transaction


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
        if not lock.paused:
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
    def of(cls, freeze: Freeze, judgement: Judgement | None = None) -> "FrozenError":
        """Create the error: who set the freeze, since when, why, and how to lift it, or to pass it."""
        if judgement is not None and judgement.needs_reason:
            hint = said("It passes with a reason: say why it cannot wait.")
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


class Freezes:
    """Freeze environments, and lift freezes."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def get(self, environment: str) -> Freeze | None:
        """Return the freeze of an environment, or None."""
        return await self._journal.read(lambda transaction: read_freeze(transaction, environment))

    async def all(self) -> tuple[Freeze, ...]:
        """Return every freeze."""
        rows = await self._journal.read(
            lambda t: t.execute("SELECT document FROM freezes ORDER BY environment").fetchall()
        )
        return readable(Freeze, (row[0] for row in rows))

    async def put(self, freeze: Freeze) -> None:
        """Freeze an environment. Raises FrozenError where it is frozen already; the earlier reason is kept."""

        def work(transaction: Transaction) -> None:
            refuse_frozen(transaction, freeze.environment)
            transaction.execute(
                "INSERT INTO freezes (environment, document) VALUES (?, ?)", (freeze.environment, to_json(freeze))
            )
            transaction.add_change(_freeze_change(freeze, freeze.frozen_by, "frozen"))

        await self._journal.write(work)

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


def describe_stop(stop: Stop) -> Message:
    """Say who stopped a service, when and why."""
    when = f"{stop.since:%Y-%m-%d %H:%M} UTC"
    said_by = said("was stopped by {person}, {when}", person=stop.stopped_by.name, when=when)
    return joined(": ", filter(None, (said_by, stop.reason)))


def describe_scale(scale: Scale) -> Message:
    """Say to what a service was scaled, by whom, when and why."""
    when = f"{scale.since:%Y-%m-%d %H:%M} UTC"
    said_by = said(
        "was scaled to {count} by {person}, {when}", count=scale.replicas, person=scale.scaled_by.name, when=when
    )
    return joined(": ", filter(None, (said_by, scale.reason)))


class Stops:
    """Remember which services were stopped through the bot, until they run again."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def of(self, environment: str) -> dict[str, Stop]:
        """Return what is stopped in an environment, by service."""
        rows = await self._journal.read(
            lambda t: t.execute("SELECT document FROM stops WHERE environment = ?", (environment,)).fetchall()
        )
        return {stop.service: stop for stop in readable(Stop, (row[0] for row in rows))}

    async def put(self, stop: Stop, fence: Fence) -> None:
        """Write that a service is about to be stopped. Raises FencedOffError."""

        def work(transaction: Transaction) -> None:
            transaction.execute(
                "INSERT OR REPLACE INTO stops (environment, service, document) VALUES (?, ?, ?)",
                (stop.environment, stop.service, to_json(stop)),
            )

        await self._journal.write(work, fence=fence)

    async def lift(self, environment: str, service: str, fence: Fence | None = None) -> None:
        """Write that a service runs again, or is about to. Raises FencedOffError."""

        def work(transaction: Transaction) -> None:
            transaction.execute("DELETE FROM stops WHERE environment = ? AND service = ?", (environment, service))

        await self._journal.write(work, fence=fence)


class Scales:
    """Remember which services were scaled through the bot, until their files say another number."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def of(self, environment: str) -> dict[str, Scale]:
        """Return what is scaled in an environment, by service."""
        rows = await self._journal.read(
            lambda t: t.execute("SELECT document FROM scales WHERE environment = ?", (environment,)).fetchall()
        )
        return {scale.service: scale for scale in readable(Scale, (row[0] for row in rows))}


def write_scales(transaction: Transaction, environment: str, scales: Iterable[Scale]) -> None:
    """Write all that is scaled in an environment; nothing else is any more."""
    transaction.execute("DELETE FROM scales WHERE environment = ?", (environment,))
    for scale in scales:
        transaction.execute(
            "INSERT INTO scales (environment, service, document) VALUES (?, ?, ?)",
            (scale.environment, scale.service, to_json(scale)),
        )


def read_freeze(transaction: Transaction, environment: str) -> Freeze | None:
    """Return the freeze of an environment within a transaction."""
    row = transaction.execute("SELECT document FROM freezes WHERE environment = ?", (environment,)).fetchone()
    return from_row(Freeze, row[0]) if row else None


def refuse_frozen(
    transaction: Transaction, environment: str, request: DeploymentRequest | None = None
) -> Freeze | None:
    """Raise FrozenError where an environment is frozen, unless a request passes that; returns the freeze it passes."""
    freeze = read_freeze(transaction, environment)
    if freeze is not None:
        judgement = None if request is None else judge_request(request, {Gate.FREEZE})
        if judgement is None or not judgement.may_begin:
            raise FrozenError.of(freeze, judgement)
    return freeze


def _freeze_change(freeze: Freeze, actor: Actor, text: str) -> StateChange:
    return StateChange(
        type=ChangeType.AUDIT,
        source="freezes",
        environment=freeze.environment,
        subject=freeze.environment,
        new=text,
        metadata={"by": actor.name, "id": actor.id, "reason": freeze.reason, "frozen_by": freeze.frozen_by.name},
    )
