"""What the journal of a bot has, read from outside by SQL while the bot may write to it."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

BUSY_SECONDS = 10.0


def rows(state_dir: Path, question: str, *values: object) -> list[Any]:
    """Return what the journal in a state folder answers to a question."""
    address = f"file:{state_dir / 'journal.sqlite3'}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS)) as journal:
        return journal.execute(question, values).fetchall()


def documents(state_dir: Path, table: str, condition: str = "TRUE", *values: object) -> list[dict[str, Any]]:
    """Return the documents in a table, the oldest first, for which a condition holds."""
    question = f"SELECT document FROM {table} WHERE {condition} ORDER BY rowid"  # noqa: S608 - it is ours
    return [json.loads(document) for (document,) in rows(state_dir, question, *values)]


def open_alerts(state_dir: Path) -> list[dict[str, Any]]:
    """Return the alerts that are not over."""
    return documents(state_dir, "alerts", "open")
