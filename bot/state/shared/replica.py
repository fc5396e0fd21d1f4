"""Know what a transaction changed in the journal, and bring what was changed elsewhere into this one.

A journal with a `Position` is a copy: the Swarm has what it says (`shared_log.py`), and other machines have it, too.
Rows keep their numbers in all of them. What is of one machine alone, who lives on it, is in no other copy.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from roas.state.documents import from_json, to_json
from roas.state.schema import COPY_OF, FILES, MIGRATIONS, POSITION

Row = Mapping[str, Any]
# By table, each row with its number.
Rows = Mapping[str, Sequence[tuple[int, Row]]]
Numbers = Mapping[str, Sequence[int]]

OF_ONE_MACHINE = frozenset({"owners", "heartbeats", "sqlite_sequence"})
CHANGED = "changed_rows"
# How many of the rows that are over a new copy is given, beside all that are not; the rest is history.
NEWEST: Mapping[str, tuple[int, str]] = {
    "changes": (1000, "0"),
    "deployments": (50, "outcome IS NULL"),
    "proposals": (100, "ended = 0"),
    "posts": (200, "finished = 0"),
    "alerts": (200, "open = 1"),
    "recoveries": (200, "0"),
    "candidates": (200, "open = 1"),
    "deliveries": (200, "handled = 0"),
}
OF_DEPLOYMENTS = frozenset({"phases", "service_progress"})


@dataclass(frozen=True, slots=True)
class Position:
    """Say up to which entry of the log a journal has what all copies have; the rest is that entry's, by which node."""

    sequence: int
    digest: str
    token: int = 0
    node: str = ""


@dataclass(frozen=True, slots=True)
class Changes:
    """Hold the rows that were written, and the numbers of those that were deleted."""

    rows: Rows
    deleted: Numbers

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self.rows or self.deleted)


def read_position(connection: sqlite3.Connection) -> Position | None:
    """Return up to where a journal is a copy; None for one that is none."""
    row = connection.execute("SELECT document FROM projections WHERE name = ?", (POSITION,)).fetchone()
    return None if row is None else from_json(Position, row[0])


def write_position(connection: sqlite3.Connection, position: Position) -> None:
    """Write up to where a journal is a copy."""
    write_note(connection, POSITION, to_json(position))


def write_note(connection: sqlite3.Connection, name: str, document: str) -> None:
    """Write what this copy alone has to know, by a number below zero: no row that all copies have comes to have it."""
    connection.execute(
        "INSERT OR REPLACE INTO projections (rowid, name, document) VALUES (?, ?, ?)",
        (-1 - COPY_OF.index(name), name, document),
    )


def note_changes(connection: sqlite3.Connection) -> None:
    """Have this connection note which rows it changes; tables that came since are noted, too."""
    connection.execute("PRAGMA recursive_triggers = ON")  # else a row that gives way to another is not noted
    # A row may be noted more than once: within an upsert, SQLite obeys no `OR IGNORE` of a trigger.
    connection.execute(f"CREATE TEMP TABLE IF NOT EXISTS {CHANGED} (name TEXT, number INTEGER)")
    for table in tables(connection):
        for act, rows in (("INSERT", ("NEW",)), ("UPDATE", ("OLD", "NEW")), ("DELETE", ("OLD",))):
            condition = f"WHEN {rows[0]}.name NOT IN ('{POSITION}', '{FILES}')" if table == "projections" else ""
            numbers = ", ".join(f"('{table}', {row}.rowid)" for row in rows)
            connection.execute(
                f"CREATE TEMP TRIGGER IF NOT EXISTS note_{table}_{act} AFTER {act} ON main.{table} {condition} "  # noqa: S608 - names of tables
                f"BEGIN INSERT INTO {CHANGED} VALUES {numbers}; END"
            )


def take_changes(connection: sqlite3.Connection) -> Changes:
    """Return what was changed since this was asked last, and forget it."""
    rows: dict[str, list[tuple[int, Row]]] = {}
    deleted: dict[str, list[int]] = {}
    noted = f"SELECT name, number FROM {CHANGED} GROUP BY name, number ORDER BY min(rowid)"  # noqa: S608 - as above
    for table, number in connection.execute(noted).fetchall():
        found = _read(connection, table, "rowid = ?", number)
        if found:
            rows.setdefault(table, []).extend(found)
        else:
            deleted.setdefault(table, []).append(number)
    forget_changes(connection)
    return Changes(rows, deleted)


def forget_changes(connection: sqlite3.Connection) -> None:
    """Forget what was changed: it came from elsewhere."""
    connection.execute(f"DELETE FROM {CHANGED}")  # noqa: S608 - as above


def read_all(connection: sqlite3.Connection) -> Rows:
    """Return what a new copy has to have: all that is under way or counts, and the newest of what is over."""
    return {table: _read(connection, table, _counts(table)) for table in tables(connection)}


def apply_changes(connection: sqlite3.Connection, changes: Changes) -> None:
    """Write the rows that were written elsewhere, and delete those that were deleted there."""
    connection.execute("PRAGMA defer_foreign_keys = ON")
    known = frozenset(tables(connection))
    for table, numbers in changes.deleted.items():
        if table in known:
            connection.executemany(f"DELETE FROM {table} WHERE rowid = ?", [(number,) for number in numbers])  # noqa: S608 - as above
    for table, rows in changes.rows.items():
        if table in known:
            _write(connection, table, rows)
    forget_changes(connection)


def apply_all(connection: sqlite3.Connection, rows: Rows) -> None:
    """Make this journal what a snapshot says; what is over, and older than all of that, stays."""
    connection.execute("PRAGMA defer_foreign_keys = ON")
    for table in tables(connection):
        connection.execute(f"DELETE FROM {table} WHERE {_is_replaced(table, rows.get(table, ()))}")  # noqa: S608 - as above
    apply_changes(connection, Changes(rows, {}))


def apply_migrations(connection: sqlite3.Connection, migrations: Sequence[str]) -> None:
    """Add what a newer version of the bot added, whose rows come here: what is added is only ever added."""
    known = int(connection.execute("PRAGMA user_version").fetchone()[0])
    for number, script in enumerate(migrations[known:], start=known + 1):
        for statement in filter(str.strip, script.split(";")):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")
    if len(migrations) > known:
        note_changes(connection)


def known_migrations() -> tuple[str, ...]:
    """Return the additions that this version knows."""
    return MIGRATIONS


def tables(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Return the tables that all copies have."""
    found = connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table' ORDER BY rootpage").fetchall()
    return tuple(name for (name,) in found if name not in OF_ONE_MACHINE)


def _counts(table: str) -> str:
    """Return the condition of the rows that a new copy is given."""
    if table == "projections":
        return f"name NOT IN ('{POSITION}', '{FILES}')"
    if table in OF_DEPLOYMENTS:
        return f"deployment_id IN (SELECT id FROM deployments WHERE {_counts('deployments')})"  # noqa: S608 - as above
    if table not in NEWEST:
        return "1"
    count, is_open = NEWEST[table]
    return f"{is_open} OR rowid IN (SELECT rowid FROM {table} ORDER BY rowid DESC LIMIT {count})"  # noqa: S608 - as above


def _is_replaced(table: str, rows: Sequence[tuple[int, Row]]) -> str:
    """Return the condition of the rows that a snapshot says anew."""
    if table in OF_DEPLOYMENTS:
        return "deployment_id NOT IN (SELECT id FROM deployments)"
    if table not in NEWEST or not rows:
        return _counts(table) if table == "projections" else "1"
    count, is_open = NEWEST[table]
    if len(rows) < count:
        return "1"  # there is nothing older
    return f"{is_open} OR rowid >= {rows[-count][0]}"


def _read(connection: sqlite3.Connection, table: str, condition: str, *parameters: object) -> list[tuple[int, Row]]:
    cursor = connection.execute(
        f"SELECT rowid, * FROM main.{table} WHERE {condition} ORDER BY rowid",  # noqa: S608 - as above
        parameters,
    )
    names = [column[0] for column in cursor.description][1:]
    return [(int(row[0]), dict(zip(names, row[1:], strict=True))) for row in cursor.fetchall()]


def _write(connection: sqlite3.Connection, table: str, rows: Sequence[tuple[int, Row]]) -> None:
    known = {str(name): kind for _, name, kind, *_ in connection.execute(f"PRAGMA table_info({table})").fetchall()}
    is_numbered = "INTEGER PRIMARY KEY" in str(
        connection.execute("SELECT sql FROM main.sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    )
    for number, row in rows:
        values = {name: value for name, value in row.items() if name in known}
        if not is_numbered:
            values["rowid"] = number
        marks = ", ".join("?" * len(values))
        connection.execute(
            f"INSERT OR REPLACE INTO {table} ({', '.join(values)}) VALUES ({marks})",  # noqa: S608 - as above
            tuple(values.values()),
        )
