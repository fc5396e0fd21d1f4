"""What happens in a bot is shown as it happens, by another process, with the cause that ties it together."""

import json
import sqlite3
from contextlib import closing

from tests.e2e.cli.conftest import CommandLine


def test_past_events_then_live_ones(dry_line: CommandLine) -> None:
    lock(dry_line, "dev")
    following = dry_line.start("events", "--follow")
    assert following.stdout is not None
    assert "audit  dev/dev  frozen" in following.stdout.readline()
    lock(dry_line, "prod")
    assert "audit  prod/prod  frozen" in following.stdout.readline()
    following.terminate()
    following.wait()


def test_correlation_filter_prints_json(dry_line: CommandLine) -> None:
    """As a deployment ties together what it caused."""
    for environment in ("dev", "prod"):
        lock(dry_line, environment)
    with closing(sqlite3.connect(dry_line.state / "journal.sqlite3")) as journal, journal:
        tied = "document = json_set(document, '$.correlation_id', 'COR-' || environment)"
        journal.execute(f"UPDATE changes SET {tied}")  # noqa: S608 - it is ours
    told = json.loads(dry_line.run("events", "--json", "--correlation", "COR-prod").stdout)
    assert (told["environment"], told["new"]) == ("prod", "frozen")


def lock(line: CommandLine, environment: str) -> None:
    assert line.run("lock", environment, "--reason", "the fair").returncode == 0


def test_unknown_environment_refused(dry_line: CommandLine) -> None:
    assert dry_line.run("events", "nowhere").returncode == 2
