"""Keep freezes: the journal accepts no deployment of a frozen environment."""

from roas.errors import InvalidRequestError
from roas.held_environment import FrozenError
from roas.messages.message import said
from roas.models.actor import Actor
from roas.models.change import ChangeType, StateChange
from roas.models.freeze import Freeze
from roas.state.documents import from_row, readable, to_json
from roas.state.journal import Journal
from roas.state.transaction import Transaction


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
            transaction.add_change(_change(freeze, freeze.frozen_by, "frozen"))

        await self._journal.write(work)

    async def lift(self, environment: str, actor: Actor) -> Freeze:
        """Lift the freeze of an environment; returns it. Raises InvalidRequestError."""

        def work(transaction: Transaction) -> Freeze:
            freeze = read_freeze(transaction, environment)
            if freeze is None:
                raise InvalidRequestError(
                    said("{environment} is not locked.", environment=environment), hint=said("There is nothing to do.")
                )
            transaction.execute("DELETE FROM freezes WHERE environment = ?", (environment,))
            transaction.add_change(_change(freeze, actor, "unlocked"))
            return freeze

        return await self._journal.write(work)


def read_freeze(transaction: Transaction, environment: str) -> Freeze | None:
    """Return the freeze of an environment within a transaction."""
    row = transaction.execute("SELECT document FROM freezes WHERE environment = ?", (environment,)).fetchone()
    return from_row(Freeze, row[0]) if row else None


def refuse_frozen(transaction: Transaction, environment: str) -> None:
    """Raise FrozenError where an environment is frozen."""
    freeze = read_freeze(transaction, environment)
    if freeze is not None:
        raise FrozenError.of(freeze)


def _change(freeze: Freeze, actor: Actor, text: str) -> StateChange:
    return StateChange(
        type=ChangeType.AUDIT,
        source="freezes",
        environment=freeze.environment,
        subject=freeze.environment,
        new=text,
        metadata={"by": actor.name, "id": actor.id, "reason": freeze.reason, "frozen_by": freeze.frozen_by.name},
    )
