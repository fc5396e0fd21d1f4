"""Lay out the journal's tables, so that the release before and the release after this one can read them.

Rules that keep both directions working: tables and columns are only ever added, never renamed or dropped; readers name
their columns, ignore unknown keys in documents, and read unknown values as the closest that they know; a new column has
a default. `user_version` counts the additions.
"""

import sqlite3

from roas.models.stored import new_id

# The row of `projections` that holds the unique id of this journal.
IDENTITY = "journal"
# The row of `projections` that says that a person chose this journal, by `roas restore`; another text each time.
CHOSEN = "chosen"
# The rows of `projections` that make a journal a copy of what a Swarm has: up to where, and which files.
COPY_OF = POSITION, FILES = "replica", "replica:files"

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE changes (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        type TEXT NOT NULL,
        source TEXT NOT NULL,
        environment TEXT NOT NULL DEFAULT '',
        subject TEXT NOT NULL DEFAULT '',
        time TEXT NOT NULL,
        correlation_id TEXT NOT NULL DEFAULT '',
        instance_id TEXT NOT NULL DEFAULT '',
        document TEXT NOT NULL
    );
    CREATE INDEX changes_by_environment ON changes (environment, sequence);
    CREATE TABLE fences (
        name TEXT PRIMARY KEY,
        token INTEGER NOT NULL
    );
    CREATE TABLE locks (
        environment TEXT PRIMARY KEY,
        deployment_id TEXT NOT NULL,
        instance_id TEXT NOT NULL,
        token INTEGER NOT NULL,
        document TEXT NOT NULL
    );
    CREATE TABLE deployments (
        id TEXT PRIMARY KEY,
        environment TEXT NOT NULL,
        kind TEXT NOT NULL,
        outcome TEXT,
        interaction_id TEXT UNIQUE,
        cancel_requested_by TEXT,
        document TEXT NOT NULL
    );
    CREATE INDEX deployments_by_environment ON deployments (environment, id);
    CREATE TABLE phases (
        deployment_id TEXT NOT NULL REFERENCES deployments (id),
        position INTEGER NOT NULL,
        name TEXT NOT NULL,
        status TEXT NOT NULL,
        document TEXT NOT NULL,
        PRIMARY KEY (deployment_id, name)
    );
    CREATE TABLE service_progress (
        deployment_id TEXT NOT NULL REFERENCES deployments (id),
        position INTEGER NOT NULL,
        service TEXT NOT NULL,
        document TEXT NOT NULL,
        PRIMARY KEY (deployment_id, service)
    );
    CREATE TABLE releases (
        environment TEXT NOT NULL,
        number INTEGER NOT NULL,
        state TEXT NOT NULL,
        kept INTEGER NOT NULL DEFAULT 1,
        document TEXT NOT NULL,
        PRIMARY KEY (environment, number)
    );
    CREATE TABLE environments (
        name TEXT PRIMARY KEY,
        current_release INTEGER,
        applied_model TEXT NOT NULL DEFAULT ''
    );
    CREATE TABLE posts (
        subject TEXT NOT NULL,
        kind TEXT NOT NULL,
        finished INTEGER NOT NULL DEFAULT 0,
        document TEXT NOT NULL,
        PRIMARY KEY (subject, kind)
    );
    """,
    """
    CREATE TABLE owners (
        name TEXT PRIMARY KEY,
        document TEXT NOT NULL
    );
    CREATE TABLE heartbeats (
        instance_id TEXT PRIMARY KEY,
        container_id TEXT NOT NULL DEFAULT '',
        document TEXT NOT NULL
    );
    """,
    """
    CREATE TABLE proposals (
        id TEXT PRIMARY KEY,
        environment TEXT NOT NULL,
        ended INTEGER NOT NULL DEFAULT 0,
        document TEXT NOT NULL
    );
    CREATE INDEX proposals_open ON proposals (ended, id);
    CREATE TABLE freezes (
        environment TEXT PRIMARY KEY,
        document TEXT NOT NULL
    );
    """,
    """
    CREATE TABLE projections (
        name TEXT PRIMARY KEY,
        document TEXT NOT NULL
    );
    """,
    """
    CREATE TABLE alerts (
        id TEXT PRIMARY KEY,
        fingerprint TEXT NOT NULL,
        environment TEXT NOT NULL DEFAULT '',
        open INTEGER NOT NULL DEFAULT 1,
        told INTEGER NOT NULL DEFAULT 0,
        version INTEGER NOT NULL DEFAULT 1,
        grouping TEXT NOT NULL DEFAULT '',
        document TEXT NOT NULL
    );
    CREATE INDEX alerts_by_fingerprint ON alerts (fingerprint, id);
    CREATE INDEX alerts_open ON alerts (open, id);
    CREATE INDEX alerts_by_group ON alerts (grouping, id);
    CREATE TABLE recoveries (
        id TEXT PRIMARY KEY,
        environment TEXT NOT NULL,
        service TEXT NOT NULL,
        action TEXT NOT NULL,
        begun_at TEXT NOT NULL,
        document TEXT NOT NULL
    );
    CREATE INDEX recoveries_by_service ON recoveries (environment, service, begun_at);
    """,
    "ALTER TABLE deployments ADD COLUMN decision TEXT",
    # Who asks what is under way reads through all that ended otherwise.
    "CREATE INDEX deployments_unfinished ON deployments (environment) WHERE outcome IS NULL",
    """
    CREATE TABLE candidates (
        id TEXT PRIMARY KEY,
        environment TEXT NOT NULL,
        source TEXT NOT NULL,
        proposal TEXT NOT NULL,
        identity TEXT NOT NULL,
        request_key TEXT,
        open INTEGER NOT NULL DEFAULT 1,
        document TEXT NOT NULL,
        UNIQUE (source, request_key)
    );
    CREATE INDEX candidates_open ON candidates (open, id);
    CREATE INDEX candidates_by_source ON candidates (environment, source, id);
    CREATE INDEX candidates_by_proposal ON candidates (proposal, id);
    CREATE TABLE deliveries (
        source TEXT NOT NULL,
        id TEXT NOT NULL,
        handled INTEGER NOT NULL DEFAULT 0,
        received_at TEXT NOT NULL,
        document TEXT NOT NULL,
        PRIMARY KEY (source, id)
    );
    CREATE INDEX deliveries_unhandled ON deliveries (handled, received_at);
    CREATE TABLE holds (
        environment TEXT NOT NULL,
        version TEXT NOT NULL,
        document TEXT NOT NULL,
        PRIMARY KEY (environment, version)
    );
    """,
    """
    CREATE TABLE stops (
        environment TEXT NOT NULL,
        service TEXT NOT NULL,
        document TEXT NOT NULL,
        PRIMARY KEY (environment, service)
    )
    """,
    """
    CREATE TABLE scales (
        environment TEXT NOT NULL,
        service TEXT NOT NULL,
        document TEXT NOT NULL,
        PRIMARY KEY (environment, service)
    )
    """,
    """
    CREATE TABLE data_backups (
        id TEXT PRIMARY KEY,
        environment TEXT NOT NULL,
        service TEXT NOT NULL,
        deployment_id TEXT NOT NULL,
        kept INTEGER NOT NULL DEFAULT 1,
        document TEXT NOT NULL
    );
    CREATE INDEX data_backups_by_environment ON data_backups (environment, id);
    CREATE INDEX data_backups_by_deployment ON data_backups (deployment_id, id);
    """,
    """
    CREATE TABLE swarms (
        environment TEXT PRIMARY KEY,
        document TEXT NOT NULL
    );
    """,
)


def migrate(connection: sqlite3.Connection) -> None:
    """Add what this version knows and the journal does not have yet; a newer journal is left as it is."""
    for number, script in enumerate(MIGRATIONS, start=1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            if connection.execute("PRAGMA user_version").fetchone()[0] < number:
                for statement in filter(str.strip, script.split(";")):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def read_choice(connection: sqlite3.Connection) -> str:
    """Return by which choice of a person this journal is at its place; empty where it began by itself."""
    row = connection.execute("SELECT document FROM projections WHERE name = ?", (CHOSEN,)).fetchone()
    return str(row[0]) if row else ""


def choose(connection: sqlite3.Connection) -> None:
    """Note that a person wants this journal at its place, whatever the engine has of another one."""
    connection.execute("INSERT OR REPLACE INTO projections (name, document) VALUES (?, ?)", (CHOSEN, new_id("CHOICE")))
    connection.execute("DELETE FROM projections WHERE name IN (?, ?)", COPY_OF)


def give_identity(connection: sqlite3.Connection) -> str:
    """Return the unique id of this journal; one without it is given an id, once."""
    question = "SELECT document FROM projections WHERE name = ?"
    connection.execute("BEGIN IMMEDIATE")
    try:
        row = connection.execute(question, (IDENTITY,)).fetchone()
        if row is None:
            row = (new_id("JOURNAL"),)
            connection.execute("INSERT INTO projections (name, document) VALUES (?, ?)", (IDENTITY, *row))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return str(row[0])
