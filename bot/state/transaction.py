"""What is read and written of the journal at once, and the proof of the right to write."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from roas.errors import FencedOffError
from roas.messages.message import said
from roas.models.change import StateChange
from roas.state.documents import hide_in_document, to_json


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
