"""Read the journal from outside of every bot, without ever writing into it."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from roas.models.deployment import Deployment, ServiceProgress
from roas.models.leader_lease import Heartbeat, LeaderLease
from roas.models.release import Release
from roas.state.documents import from_json
from roas.state.journal.place import JOURNAL_NAME
from roas.state.living_processes import boot_seconds

BUSY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Written:
    """Hold a change and its author; `owner` is who runs a deployment from here on, where that changed.

    Where leadership changed, `deployment_id` is empty.
    """

    sequence: int
    type: str
    deployment_id: str
    instance_id: str
    owner: str = ""
    # When, by the wall clock.
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Mark:
    """Remember how far the journal was when a round began."""

    sequence: int = 0
    deployment_id: str = ""


@dataclass(frozen=True, slots=True)
class JournalFacts:
    """Hold the content of the journal."""

    deployments: tuple[Deployment, ...] = ()
    unfinished: tuple[str, ...] = ()
    locks: tuple[str, ...] = ()
    release: Release | None = None
    applied_model: str = ""
    lease: LeaderLease | None = None
    heartbeat: Heartbeat | None = None
    heartbeat_age_seconds: float = 1e9
    written: tuple[Written, ...] = field(default=())


class JournalReader:
    """Look into the journal of a state folder."""

    def __init__(self, state_dir: Path, environment: str) -> None:
        self._path = state_dir / JOURNAL_NAME
        self._environment = environment

    def mark(self) -> Mark:
        """Return how far the journal is."""
        with self._opened() as journal:
            sequence = journal.execute("SELECT coalesce(max(sequence), 0) FROM changes").fetchone()[0]
            last = journal.execute("SELECT coalesce(max(id), '') FROM deployments").fetchone()[0]
        return Mark(int(sequence), str(last))

    def unfinished(self) -> bool:
        """Return whether a deployment has no end yet."""
        with self._opened() as journal:
            return _one(journal, "SELECT id FROM deployments WHERE outcome IS NULL LIMIT 1") is not None

    def ended(self) -> tuple[str, ...]:
        """Return every deployment that has come to its end."""
        with self._opened() as journal:
            rows = journal.execute("SELECT id FROM deployments WHERE outcome IS NOT NULL ORDER BY id").fetchall()
        return tuple(str(row[0]) for row in rows)

    def look(self, since: Mark) -> JournalFacts:
        """Return what the journal says; deployments and changes only of this round."""
        with self._opened() as journal:
            deployments = tuple(_deployments(journal, since.deployment_id))
            unfinished = journal.execute("SELECT id FROM deployments WHERE outcome IS NULL").fetchall()
            locks = journal.execute("SELECT environment FROM locks").fetchall()
            lease = _one(journal, "SELECT document FROM owners WHERE name = 'voice'")
            holder = from_json(LeaderLease, lease) if lease else None
            beat = _one(
                journal,
                "SELECT document FROM heartbeats WHERE instance_id = ?",
                holder.instance_id if holder else "",
            )
            heartbeat = from_json(Heartbeat, beat) if beat else None
            release, model = self._current(journal)
            written = tuple(_written(journal, since.sequence))
        return JournalFacts(
            deployments=deployments,
            unfinished=tuple(row[0] for row in unfinished),
            locks=tuple(row[0] for row in locks),
            release=release,
            applied_model=model,
            lease=holder,
            heartbeat=heartbeat,
            heartbeat_age_seconds=boot_seconds() - heartbeat.beat_at if heartbeat else 1e9,
            written=written,
        )

    def step_of(self, service: str) -> str:
        """Return the step that the last deployment announced for a service, or an empty text."""
        with self._opened() as journal:
            row = _one(
                journal,
                "SELECT document FROM service_progress WHERE service = ? ORDER BY deployment_id DESC LIMIT 1",
                service,
            )
        return from_json(ServiceProgress, row).step.value if row else ""

    def _current(self, journal: sqlite3.Connection) -> tuple[Release | None, str]:
        row = journal.execute(
            "SELECT e.applied_model, r.document FROM environments e JOIN releases r"
            " ON r.environment = e.name AND r.number = e.current_release WHERE e.name = ?",
            (self._environment,),
        ).fetchone()
        if row is None:
            return None, ""
        release = from_json(Release, row[1])
        return release, row[0] or release.model_hash

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=BUSY_SECONDS)) as journal:
            yield journal


def _deployments(journal: sqlite3.Connection, after: str) -> Iterator[Deployment]:
    """Yield deployments with what they did to each service, which is what says whether they touched anything."""
    for id_, text in journal.execute("SELECT id, document FROM deployments WHERE id > ? ORDER BY id", (after,)):
        rows = journal.execute("SELECT document FROM service_progress WHERE deployment_id = ?", (id_,)).fetchall()
        services = tuple(from_json(ServiceProgress, row[0]) for row in rows)
        yield replace(from_json(Deployment, text), services=services)


def _one(journal: sqlite3.Connection, statement: str, *parameters: str) -> str | None:
    row = journal.execute(statement, parameters).fetchone()
    return str(row[0]) if row else None


FENCED = frozenset({"deployment_phase_changed", "service_progressed", "release_created", "release_activated"})
SOURCES = frozenset({"deployments", "releases"})
HEALTH_CHANGED = "service_health_changed"


def _written(journal: sqlite3.Connection, after: int) -> Iterator[Written]:
    """Yield the changes that only an owner may write, and those by which there is another owner."""
    rows = journal.execute(
        "SELECT sequence, type, source, instance_id, time, document FROM changes WHERE sequence > ? ORDER BY sequence",
        (after,),
    )
    for sequence, kind, source, instance_id, time, text in rows:
        document = json.loads(text)
        at = datetime.fromisoformat(time).timestamp()
        if kind == "lock_changed" and source == "ownership":
            yield Written(sequence, kind, "", instance_id, str(document["new"]), at)
        elif kind == "lock_changed" and document["new"]:
            yield Written(sequence, kind, str(document["new"]), instance_id, instance_id, at)
        elif kind == HEALTH_CHANGED or ((kind in FENCED or kind == "deployment_finished") and source in SOURCES):
            yield Written(sequence, kind, "", instance_id, at=at)
