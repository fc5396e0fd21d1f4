"""What is scheduled from the command line begins once at its time, whatever becomes of the bot, or is cancelled."""

import csv
import io
import sqlite3
from datetime import UTC, datetime, timedelta

from testbed.waiting import wait_until
from tests.e2e.cli.conftest import CommandLine

SECONDS = 60


def at(seconds: float) -> str:
    """Return the moment so many seconds from now, as it is typed."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds")


def come(line: CommandLine, plan_id: str) -> None:
    """Let the time of what is scheduled have come, while no bot lives."""
    with sqlite3.connect(line.state / "journal.sqlite3") as journal:
        journal.execute(
            "UPDATE proposals SET document = json_set(document, '$.request.starts_at', ?) WHERE id = ?",
            (at(-60), plan_id),
        )


def deployments(line: CommandLine) -> list[tuple[str, str | None]]:
    """Return version and outcome of each deployment, the newest first."""
    found = line.document("history", "dev")["deployments"]
    return [(item["request"]["version"], item["outcome"]) for item in found]


def test_scheduled_deployment_outlives_the_bot(line: CommandLine) -> None:
    """It is shown, cancelled, and begun once by the next bot after a death over its time; the record says who asked."""
    opens = (datetime.now(UTC) + timedelta(hours=6)).hour
    line.state.mkdir(exist_ok=True)
    (line.state / "roas.toml").write_text(f'[environments.staging.windows]\nopen = ["0 {opens} * * * for 1h"]\n')
    refused = line.run("deploy", "dev", "v1", "--when", at(60))
    assert refused.returncode == 2, "nobody would begin it"
    bot = line.live()
    assert line.run("deploy", "dev", "v1").returncode == 0
    first = line.document("deploy", "dev", "v4", "--when", "in 2h")
    assert first["state"] == "scheduled"
    assert first["id"] in line.run("status", "dev").stdout
    assert line.document("cancel", "dev")["state"] == "withdrawn"
    assert line.document("status", "dev")["environments"][0]["scheduled"] == []
    for environment, text, hour in (("dev", "22:00", 22), ("staging", "next window", opens)):
        starts_at = line.document("deploy", environment, "v4", "--when", text)["request"]["starts_at"]
        begins = datetime.fromisoformat(starts_at)
        assert (begins.hour, begins.minute, begins > datetime.now(UTC)) == (hour, 0, True), text
        assert line.document("cancel", environment)["state"] == "withdrawn"
    scheduled = line.document("deploy", "dev", "v2", "--when", "in 30m")
    bot.kill()
    bot.wait()
    come(line, scheduled["id"])
    assert deployments(line) == [("v1", "succeeded")]
    line.live()
    assert wait_until(lambda: deployments(line) == [("v2", "succeeded"), ("v1", "succeeded")], SECONDS)
    assert line.running()["web"] == "v2"
    (newest, *_) = line.document("history", "dev", "--format", "json")["deployments"]
    assert (newest["version"], newest["plan"]) == ("v2", scheduled["request"]["plan_digest"])
    rows = list(csv.DictReader(io.StringIO(line.run("history", "dev", "--format", "csv").stdout)))
    assert [(row["version"], row["outcome"]) for row in rows] == [("v2", "succeeded"), ("v1", "succeeded")]
