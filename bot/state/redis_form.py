"""Convert a change of the journal to its form in Redis: an entry of the stream, and fields of hashes.

Keys begin with `roas:<name>:`.

| key | what |
|---|---|
| `events` | a stream, one entry per change, whose id is `<number in the journal>-0`; the last of them |
| `environment:<environment>` | a hash: what was deployed last, how far it is, how it ended, the release that runs |
| `services:<environment>` | a hash: `<service>:health`, `:progress`, `:run`, as JSON: the last that happened to it |
| `alerts` | a hash: per alert that is not resolved, as JSON |
| `cursor` | a hash: which journal this is a projection of, and up to where |
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from roas.messages.message import MESSAGES, hide_in, messages_in
from roas.models.state_change import ChangeType, StateChange
from roas.state.documents import from_row, to_json
from roas.state.journal.journal import Journal


@dataclass(frozen=True, slots=True)
class Numbered:
    """Hold a change with its position in the journal."""

    sequence: int
    change: StateChange


class ProjectionSource:
    """Provide changes by their number, oldest first, and the unique id of this journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    @property
    def identity(self) -> str:
        """Return the unique id of this journal."""
        return self._journal.id

    async def after(self, sequence: int, limit: int) -> tuple[Numbered, ...]:
        """Return the changes that follow a number, oldest first. Raises StateError.

        One that means nothing to this version holds the rest up: a copy with a gap would pass for a whole one.
        """
        rows = await self._journal.read(lambda transaction: transaction.changes_after(sequence, limit))
        return tuple(Numbered(row[0], from_row(StateChange, row[1])) for row in rows)

    async def id_at(self, sequence: int) -> str | None:
        """Return the id of the change with a number, or None. Raises StateError."""
        row = await self._journal.read(
            lambda t: t.execute("SELECT id FROM changes WHERE sequence = ?", (sequence,)).fetchone()
        )
        return None if row is None else str(row[0])


STREAM_LENGTH = 10_000
GONE = ("resolved", "removed")
Redact = Callable[[str], str]

SERVICE_FIELDS = {
    ChangeType.SERVICE_STARTED: "run",
    ChangeType.SERVICE_STOPPED: "run",
    ChangeType.SERVICE_HEALTH_CHANGED: "health",
    ChangeType.SERVICE_PROGRESSED: "progress",
}
ENVIRONMENT_FIELDS = {
    ChangeType.DEPLOYMENT_STARTED: "started",
    ChangeType.DEPLOYMENT_PHASE_CHANGED: "phase",
    ChangeType.DEPLOYMENT_FINISHED: "finished",
    ChangeType.RELEASE_CREATED: "release_created",
    ChangeType.RELEASE_ACTIVATED: "release_activated",
}


@dataclass(frozen=True, slots=True)
class Cursor:
    """Describe how far a projection is: of which journal, up to which change."""

    journal: str
    sequence: int
    change_id: str


@dataclass(frozen=True, slots=True)
class Keys:
    """Name the keys of one installation, so that several can share a server."""

    name: str

    def key(self, *parts: str) -> str:
        """Return a key."""
        return ":".join(("roas", self.name, *parts))

    @property
    def stream(self) -> str:
        """Return the stream's key."""
        return self.key("events")

    @property
    def cursor(self) -> str:
        """Return the cursor's key."""
        return self.key("cursor")


@dataclass(frozen=True, slots=True)
class HashField:
    """Set a field of a hash, or take it out where the value is None."""

    key: str
    field: str
    value: str | None


def stream_entry(change: StateChange, redact: Redact) -> dict[str, str]:
    """Return the fields of a change's entry in the stream; the whole of it is in `document`."""
    clean = redacted(change, redact)
    return {
        "id": clean.id,
        "type": clean.type.value,
        "environment": clean.environment,
        "subject": clean.subject,
        "time": clean.time.isoformat(),
        "correlation_id": clean.correlation_id,
        "document": to_json(clean),
    }


def hash_fields(changes: Iterable[Numbered], keys: Keys, redact: Redact) -> tuple[HashField, ...]:
    """Return what changes leave in the hashes; of several for one field only the last."""
    found: dict[tuple[str, str], HashField] = {}
    for numbered in changes:
        change = redacted(numbered.change, redact)
        place = _place(change, keys)
        if place is not None:
            found[place] = HashField(*place, _value(numbered.sequence, change))
    return tuple(found.values())


def redacted(change: StateChange, redact: Redact) -> StateChange:
    """Return a change without secrets in any of its texts."""

    def clean(value: Any) -> Any:
        match value:
            case str():
                return hide_in(value, redact)
            case dict():
                return {key: clean(item) for key, item in value.items()}
            case list() | tuple():
                return [clean(item) for item in value]
            case _:
                return value

    return replace(
        change,
        subject=redact(change.subject),
        old=clean(change.old),
        new=clean(change.new),
        metadata=clean(change.metadata),
    )


def _place(change: StateChange, keys: Keys) -> tuple[str, str] | None:
    if change.type in SERVICE_FIELDS and change.subject:
        return keys.key("services", change.environment), f"{change.subject}:{SERVICE_FIELDS[change.type]}"
    if change.type is ChangeType.ALERT_TRIGGERED and change.subject:
        return keys.key("alerts"), change.subject
    if change.type in ENVIRONMENT_FIELDS:
        return keys.key("environment", change.environment), ENVIRONMENT_FIELDS[change.type]
    return None


def _value(sequence: int, change: StateChange) -> str | None:
    if change.new in GONE or change.metadata.get("event") == "monitoring.alert.resolved":
        return None
    document = {
        "type": change.type.value,
        "subject": change.subject,
        "new": change.new,
        "metadata": change.metadata,
        "time": change.time.isoformat(),
        "correlation_id": change.correlation_id,
        "sequence": sequence,
    }
    if (beside := messages_in(document)) is not None:
        document[MESSAGES] = beside
    return json.dumps(document, ensure_ascii=False, sort_keys=True, default=str)
