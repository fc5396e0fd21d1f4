"""What is read and written of the journal at once, and the proof of the right to write."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from roas.errors import FencedOffError
from roas.messages.message import said
from roas.models.state_change import StateChange
from roas.state.documents import from_row, hide_in_document, readable, to_json

Model = TypeVar("Model")


@dataclass(frozen=True, slots=True)
class Fence:
    """Prove the right to change an environment: a higher token in the journal means that another process took over."""

    environment: str
    token: int


@dataclass(slots=True)
class Transaction:
    """Read and write within one transaction; subscribers are notified of changes added here after the commit."""

    connection: sqlite3.Connection
    instance_id: str
    redact: Callable[[str], str] = str
    changes: list[StateChange] = field(default_factory=list)

    def execute(self, statement: str, parameters: tuple[object, ...] = ()) -> sqlite3.Cursor:
        """Run one statement; a document is written without secrets in what it says in words."""
        hidden = [
            hide_in_document(parameter, self.redact) if isinstance(parameter, str) else parameter
            for parameter in parameters
        ]
        return self.connection.execute(statement, hidden)

    def select(self, model: type[Model], rows: str, *parameters: object) -> tuple[Model, ...]:
        """Return the documents of `rows` (a table, and what follows it in the statement) that this version can read."""
        found = self.execute(f"SELECT document FROM {rows}", parameters).fetchall()  # noqa: S608 - no user text in it
        return readable(model, (row[0] for row in found))

    def find(self, model: type[Model], rows: str, *parameters: object) -> Model | None:
        """Return the document of the first of `rows`, or None. Raises UnreadableRowError."""
        row = self.execute(f"SELECT document FROM {rows} LIMIT 1", parameters).fetchone()  # noqa: S608 - as above
        return None if row is None else from_row(model, row[0])

    def put(self, table: str, document: object, **columns: object) -> None:
        """Write a row with a document, or write the one that has the same key again.

        That keeps its number: rows are in the order in which they came, whatever the clock did in between.
        """
        names = (*columns, "document")
        marks, again = ", ".join("?" * len(names)), ", ".join(f"{name} = excluded.{name}" for name in names)
        statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks}) ON CONFLICT DO UPDATE SET {again}"  # noqa: S608 - as above
        self.execute(statement, (*columns.values(), to_json(document)))

    def add_change(self, change: StateChange) -> None:
        """Write a change to the journal."""
        self.execute(
            "INSERT INTO changes (id, type, source, environment, subject, time, correlation_id, instance_id, document)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                change.id,
                change.type.value,
                change.source,
                change.environment,
                change.subject,
                change.time.isoformat(),
                change.correlation_id,
                self.instance_id,
                to_json(change),
            ),
        )
        self.changes.append(change)

    def changes_after(self, sequence: int, limit: int) -> list[tuple[int, str]]:
        """Return the documents of the changes that follow a number, oldest first, each with its own number."""
        statement = "SELECT sequence, document FROM changes WHERE sequence > ? ORDER BY sequence LIMIT ?"
        return self.execute(statement, (sequence, limit)).fetchall()

    def check(self, fence: Fence) -> None:
        """Raise FencedOffError where another process has taken the environment over since."""
        row = self.execute("SELECT token FROM fences WHERE name = ?", (fence.environment,)).fetchone()
        if row is None or row[0] != fence.token:
            raise FencedOffError(
                said(
                    "Another process has taken over {environment}; this one makes no more changes.",
                    environment=fence.environment,
                ),
            )


def run_apart(transaction: Transaction, work: Callable[[Transaction], Any], fence: Fence | None) -> Any:
    """Run one of several writes of a transaction: what it raises undoes its own part only."""
    before = len(transaction.changes)
    transaction.execute("SAVEPOINT part")
    try:
        if fence is not None:
            transaction.check(fence)
        result = work(transaction)
    except Exception as error:
        if not transaction.connection.in_transaction:
            raise  # a full disk has rolled back all of it
        transaction.execute("ROLLBACK TO part")
        transaction.execute("RELEASE part")
        return error
    transaction.execute("RELEASE part")
    return result, transaction.changes[before:]
