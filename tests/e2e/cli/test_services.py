"""Single services are stopped, started, restarted and scaled by what a person types; `status` says by whom and why."""

import re
import signal
import subprocess

import pytest

from tests.e2e.cli.conftest import REPOSITORY, CommandLine, wait_for_line


def test_stop_status_start_and_restart(on_v1: CommandLine) -> None:
    refused = on_v1.run("stop", "dev", "nobody")
    assert refused.returncode == 2
    assert "The stack has no service nobody" in refused.stderr
    stopped = on_v1.run("stop", "dev", "database", "--reason", "moving house")
    assert stopped.returncode == 0, stopped.stderr
    assert "web needs database, and goes on without." in stopped.stdout
    assert on_v1.running().keys() == {"web"}
    assert "moving house" in on_v1.run("status", "dev").stdout
    refused = on_v1.run("restart", "dev", "web")
    assert refused.returncode == 2, "what web needs does not run, and nobody asked for that"
    assert "web needs database, which was stopped by " in refused.stderr
    assert "moving house" in refused.stderr
    assert "`roas start dev database`" in refused.stderr
    assert on_v1.run("start", "dev", "database").returncode == 0
    assert on_v1.running() == {"database": "v1", "web": "v1"}
    assert "moving house" not in on_v1.run("status", "dev").stdout


def test_scale_and_status(on_v1: CommandLine) -> None:
    refused = on_v1.run("scale", "dev", "web", "1001")
    assert refused.returncode == 2
    assert "a number from 0 to 1000" in refused.stderr
    assert on_v1.run("scale", "dev", "web", "many").returncode == 2
    scaled = on_v1.run("scale", "dev", "web", "2", "--reason", "the fair")
    assert scaled.returncode == 0, scaled.stderr
    assert "2 replicas; its files say 1" in scaled.stdout
    assert "`docker compose up -d` goes by the stack's files: it leaves web 1 container." in scaled.stdout
    names = on_v1.docker(
        "ps", "--filter", f"label=com.docker.compose.project={on_v1.project}-dev", "--format", "{{.Names}}"
    )
    assert sum("-web-" in name for name in names.splitlines()) == 2
    told = " ".join(on_v1.run("status", "dev", COLUMNS="300").stdout.split())
    assert "was scaled to 2 by" in told
    assert "the fair" in told
    stopped = on_v1.run("stop", "dev", "database")
    assert stopped.returncode == 0, f"a plan that is confirmed is beside what was scaled: {stopped.stderr}"


def test_what_a_hand_changed_is_kept(on_v1: CommandLine) -> None:
    assert on_v1.run("keep", "dev").returncode == 2, "nothing was changed"
    (database,) = on_v1.docker("ps", "-q", "--filter", f"name={on_v1.project}-dev-database").splitlines()
    on_v1.docker("update", "--restart", "always", database)
    kept = on_v1.run("keep", "dev", "--reason", "it is right so")
    assert kept.returncode == 0, kept.stderr
    assert "dev is on r" in kept.stdout
    assert on_v1.docker("ps", "-q", "--filter", f"name={on_v1.project}-dev-database") == database
    assert "changed by hand" not in on_v1.run("status", "dev").stdout
    assert "database stays so, whatever is deployed, until its container is recreated" in kept.stdout
    ((before, after),) = re.findall(r"Plan for dev: (r\d+) → a new release .*dev is on (r\d+)", kept.stdout, re.DOTALL)
    for typed in ([], ["--to", before]):
        planned = on_v1.run("rollback", "dev", *typed, "--dry-run")
        assert planned.returncode == 0, planned.stderr
        assert f"Plan for dev: {after} → {before} (v1)" in planned.stdout
        assert re.findall(r"^[-+].*", planned.stdout, re.MULTILINE) == ["-restart: always"]
        assert "database was changed while it ran, and stays so, until its container is recreated" in planned.stdout


@pytest.mark.long
def test_kept_release_has_the_version_that_runs(on_v1: CommandLine) -> None:
    """Somebody types `up -d` with another version, and that is kept: whoever looks is told what runs."""
    up = ["docker", "compose", "-p", f"{on_v1.project}-dev", "up", "-d", "--wait"]
    there = on_v1.environ(VERSION="v2")
    subprocess.run(up, cwd=on_v1.folder / "stack", env=there, check=True, capture_output=True)
    kept = on_v1.run("keep", "dev")
    assert kept.returncode == 0, kept.stderr
    assert re.search(r"Plan for dev: r\d+ → a new release \(v2\)", kept.stdout)
    assert "the next deployment recreates web: write it there, too." in kept.stdout
    (number,) = re.findall(r"dev is on (r\d+)", kept.stdout)
    told = " ".join(on_v1.run("releases", "dev").stdout.split())
    assert f"{number} (runs) v2" in told
    again = on_v1.run("deploy", "dev", "v2", "--dry-run")
    assert re.search(r"^web +keep ", again.stdout, re.MULTILINE), "what was kept is what the files say of that version"
    assert "web:" not in again.stdout.splitlines()


def test_logs_are_read_and_followed(on_v1: CommandLine) -> None:
    unknown = on_v1.run("logs", "dev", "nobody")
    assert unknown.returncode == 2
    assert "There are: database, web." in unknown.stderr
    assert on_v1.run("scale", "dev", "web", "1").returncode == 0, "another test may have scaled it"
    (web,) = on_v1.docker("ps", "-q", "--filter", f"name={on_v1.project}-dev-web").splitlines()

    def write(text: str) -> None:
        on_v1.docker("exec", web, "sh", "-c", f"echo {text} >/proc/1/fd/1")

    write("before")
    read = on_v1.run("logs", "dev", "web", "--lines", "3")
    assert read.returncode == 0, read.stderr
    assert all(" | 20" in line for line in read.stdout.splitlines())
    assert read.stdout.endswith(" before\n")
    followed = on_v1.start("logs", "dev", "web", "--lines", "1", "-f")
    assert wait_for_line(followed, "before").count("\n") == 1
    for text in ("first", "password=hunter2hunter2"):
        write(text)
        assert wait_for_line(followed, text.partition("hunter2")[0]).count("\n") == 1, "each line is new, and once"
    followed.send_signal(signal.SIGINT)
    rest, _ = followed.communicate(timeout=60)
    assert (followed.returncode, rest) == (130, "")


@pytest.mark.long
def test_keep_leaves_a_scale_and_refuses_half_a_change(line: CommandLine) -> None:
    """What was scaled stays scaled beside the release; replicas that differ cannot be what one release has."""
    line.write(
        f"services: {{web: {{image: '{REPOSITORY}:${{VERSION:-v1}}', network_mode: none, stop_grace_period: 1s}}}}"
    )
    assert line.run("deploy", "dev", "v1").returncode == 0
    assert line.run("scale", "dev", "web", "2").returncode == 0
    replicas = line.docker("ps", "-q", "--filter", f"name={line.project}-dev-web").splitlines()
    line.docker("update", "--memory", "300m", "--memory-swap", "300m", replicas[0])
    refused = line.run("keep", "dev")
    assert refused.returncode == 2
    assert "web cannot be kept: the containers differ from each other." in refused.stderr
    line.docker("update", "--memory", "300m", "--memory-swap", "300m", replicas[1])
    kept = line.run("keep", "dev")
    assert kept.returncode == 0, kept.stderr
    assert "was scaled to 2" in " ".join(line.run("status", "dev", COLUMNS="300").stdout.split())
    assert line.run("deploy", "dev", "v1").returncode == 0
    replicas = line.docker("ps", "-q", "--filter", f"name={line.project}-dev-web").splitlines()
    assert len(replicas) == 2
    line.docker("rm", "-f", replicas[0])
    assert line.run("start", "dev", "web").returncode == 0
    assert len(line.docker("ps", "-q", "--filter", f"name={line.project}-dev-web").splitlines()) == 2, (
        "the rest is back"
    )
