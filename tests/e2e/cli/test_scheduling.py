"""What is scheduled from the command line begins once at its time, whatever becomes of the bot, or is cancelled."""

import csv
import io
from datetime import UTC, datetime, timedelta

from testbed.stopping import stop_process
from testbed.waiting import wait_until
from tests.e2e.cli.conftest import CommandLine

SECONDS = 60


def at(seconds: float) -> str:
    """Return a moment in the future as it is typed."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds")


def deployments(line: CommandLine) -> list[tuple[str, str | None]]:
    """Return version and outcome of each deployment, the newest first."""
    found = line.document("history", "dev")["deployments"]
    return [(item["request"]["version"], item["outcome"]) for item in found]


def test_scheduled_deployment_outlives_the_bot(line: CommandLine) -> None:
    """It is shown, cancelled, and begun once by the next bot after a death over its time; the record says who asked."""
    refused = line.run("deploy", "dev", "v1", "--when", at(60))
    assert refused.returncode == 2, "nobody would begin it"
    bot = line.live()
    assert line.run("deploy", "dev", "v1").returncode == 0
    first = line.document("deploy", "dev", "v4", "--when", "in 2h")
    assert first["state"] == "scheduled"
    assert first["id"] in line.run("status", "dev").stdout
    assert line.document("cancel", "dev")["state"] == "withdrawn"
    assert line.document("status", "dev")["environments"][0]["scheduled"] == []
    due = datetime.now(UTC) + timedelta(seconds=8)
    scheduled = line.document("deploy", "dev", "v2", "--when", due.isoformat())
    bot.kill()
    stop_process(bot)
    assert wait_until(lambda: datetime.now(UTC) > due, SECONDS)
    assert deployments(line) == [("v1", "succeeded")]
    line.live()
    assert wait_until(lambda: deployments(line) == [("v2", "succeeded"), ("v1", "succeeded")], SECONDS)
    assert line.running()["web"] == "v2"
    (newest, *_) = line.document("history", "dev", "--format", "json")["deployments"]
    assert (newest["version"], newest["plan"]) == ("v2", scheduled["request"]["plan_digest"])
    rows = list(csv.DictReader(io.StringIO(line.run("history", "dev", "--format", "csv").stdout)))
    assert [(row["version"], row["outcome"]) for row in rows] == [("v2", "succeeded"), ("v1", "succeeded")]
