"""Backups are listed, verified, copied and restored by what a person types, as plans and hints say."""

import re
import signal
import subprocess
import sys
from collections.abc import ItemsView
from typing import Any

import pytest

from testbed.waiting import wait_until
from tests.e2e.cli.conftest import REPOSITORY, CommandLine

STACK = f"""
services:
  database:
    image: {REPOSITORY}:${{VERSION:?}}
    init: true
    network_mode: none
    stop_grace_period: 1s
    environment: {{SCHEMA: "${{VERSION}}"}}
    volumes: ["data:/data"]
    x-deploy:
      backup: {{command: [cat, /data/rows], restore: "cat >/data/rows", verify: "test ! -e /data/no && grep -v torn"}}
volumes: {{data: {{}}}}
"""


def test_backup_is_listed_verified_copied_and_restored(line: CommandLine) -> None:
    line.write(STACK)
    assert line.run("backups", "list", "dev").stdout.startswith("dev has no backup")
    assert line.run("deploy", "dev", "v1").returncode == 0
    put(line, "before")
    deployed = line.run("deploy", "dev", "v2")
    assert deployed.returncode == 0, deployed.stderr
    assert "data: The data of database is backed up first." in deployed.stdout
    put(line, "after")

    gone = line.run("rollback", "dev", "--data", "BACKUP-1")
    assert (gone.returncode, "`roas backups list dev` lists those there are." in gone.stderr) == (1, True)
    (backup,) = line.document("backups", "list", "dev")["backups"]
    assert backup["id"] in line.run("backups", "list", "dev", COLUMNS="300").stdout
    copy = line.folder / "rows"
    assert line.run("backups", "export", "dev", backup["id"], str(copy)).returncode == 0
    assert (copy.read_text(), copy.stat().st_mode & 0o777) == ("before\n", 0o600)

    refused = line.run("rollback", "dev", "--data", "with", COLUMNS="300")
    assert refused.returncode == 6, "nobody granted it"
    assert "What was written since then is lost" in refused.stdout
    granted = re.search(r"--grant '([^']+)'", refused.stdout)
    assert granted is not None, refused.stdout
    restored = line.run("rollback", "dev", "--data", "with", "--grant", granted[1])
    assert restored.returncode == 0, restored.stderr
    assert held(line) == "before"
    assert line.running() == {"database": "v1"}

    present = line.document("backups", "list", "dev")["backups"][0]["id"]
    arguments = ["backups", "restore", "dev", present, "--to", "1"]
    assert line.run(*arguments).returncode == 6, "nobody granted it"
    powers = line.document(*arguments, "--dry-run")["new_powers"]
    assert line.run(*arguments, "--grant", *powers).returncode == 0
    assert held(line) == "after", "the restore is undone"

    found = line.document("backups", "verify", "dev")
    reasons = [item["reason"] for item in found["backups"]]
    assert (reasons, found["damaged"]) == (["restore", "restore", "deployment"], [])
    put(line, "torn")
    assert line.run("deploy", "dev", "v3").returncode == 1, "its own command refuses the backup"
    put(line, "after")
    (line.state / "data-backups" / backup["id"]).write_text("befor3\n")
    assert line.document("backups", "verify", "dev", code=1)["damaged"] == [backup["id"]]


# A restore with a middle, in which there is half of the data; and what uses it.
SLOW = "cat >/data/new; head -c 3 /data/new >/data/rows; sleep 1; cat /data/new >/data/rows"
WEB = f"""
  web:
    image: {REPOSITORY}:${{VERSION:?}}
    init: true
    network_mode: none
    stop_grace_period: 1s
    depends_on: [database]
"""
WITH_WEB = STACK.replace("cat >/data/rows", SLOW).replace("\nvolumes:", f"{WEB}volumes:")
MORTAL = """import sys, tests.e2e.wire.killable_bot
from roas.cli import run_command_line
sys.exit(run_command_line(sys.argv[1:]))"""
NO_MORE_STEPS = 60


# The same by a copy of the volume, which another service mounts, too.
SHARED = WITH_WEB.replace(
    "depends_on: [database]",
    """depends_on: [database]
    volumes: ["data:/shared"]""",
)
BY_VOLUME = re.sub(r"backup: .*", "backup: {volume: data}", SHARED)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_killed_restore_is_done_again_before_its_data_is_used(line: CommandLine) -> None:
    """Kill the command after a step of the rollback, the next one after a later step, until one lives on."""
    line.write(WITH_WEB)
    assert line.run("deploy", "dev", "v1").returncode == 0
    killed = []
    for step in range(1, NO_MORE_STEPS, 4):
        put(line, "before")
        deployed = line.run("deploy", "dev", "v2")
        assert deployed.returncode == 0, deployed.stderr
        put(line, "after")
        plan = line.document("rollback", "dev", "--data", "with", "--dry-run")
        arguments = ["rollback", "dev", "--data", "with", "--grant", *plan["new_powers"]]
        child = line._start([sys.executable, "-c", MORTAL, *arguments], {"MORTAL_AFTER": str(step)})
        out, err = child.communicate(timeout=120)
        if child.returncode == 0:
            break
        assert child.returncode == -signal.SIGKILL, err
        killed.append(step)
        resumed = line.run("deploy", "dev", "v1")  # first what the dead one left
        assert resumed.returncode == 0, resumed.stdout + resumed.stderr
        # One that left nothing to resume had not begun, or had ended.
        whole = {"before"} if "Resuming ROLLBACK-" in resumed.stdout else {"before", "after"}
        assert held(line) in whole, f"killed after step {step}:\n{out}\n{resumed.stdout}"
        assert line.running() == {"database": "v1", "web": "v1"}
    assert len(killed) > 5, killed
    assert held(line) == "before"


@pytest.mark.long
def test_half_restored_data_is_used_by_nobody(line: CommandLine) -> None:
    """Kill the command while the database has half of its data: the next one restores all of it first."""
    line.write(WITH_WEB)
    assert line.run("deploy", "dev", "v1").returncode == 0
    put(line, "before")
    assert line.run("deploy", "dev", "v2").returncode == 0
    put(line, "after")
    plan = line.document("rollback", "dev", "--data", "with", "--dry-run")
    child = line.start("rollback", "dev", "--data", "with", "--grant", *plan["new_powers"])
    assert wait_until(lambda: held(line) == "bef", 60)
    child.kill()
    child.communicate()
    assert "web" not in line.running()
    resumed = line.run("deploy", "dev", "v1")
    assert "Resuming ROLLBACK-" in resumed.stdout, resumed.stderr
    assert held(line) == "before"
    assert line.running() == {"database": "v1", "web": "v1"}


@pytest.mark.long
@pytest.mark.timeout(600)
def test_killed_backup_leaves_nothing_stopped(line: CommandLine) -> None:
    """Kill the command after a step of the deployment, the next one after a later step, until one lives on."""
    line.write(BY_VOLUME)
    assert line.run("deploy", "dev", "v1").returncode == 0
    put(line, "rows")
    killed, version = [], "v1"
    for step in range(1, NO_MORE_STEPS, 4):
        version = "v2" if version == "v1" else "v1"
        child = line._start([sys.executable, "-c", MORTAL, "deploy", "dev", version], {"MORTAL_AFTER": str(step)})
        out, err = child.communicate(timeout=120)
        if child.returncode == 0:
            break
        assert child.returncode == -signal.SIGKILL, err
        killed.append(step)
        resumed = line.run("deploy", "dev", version)  # first what the dead one left
        assert resumed.returncode == 0, f"killed after step {step}:\n{out}\n{resumed.stdout}{resumed.stderr}"
        assert line.running() == {"database": version, "web": version}
        assert held(line) == "rows"
    assert len(killed) > 5, killed
    assert line.document("backups", "verify", "dev")["damaged"] == []


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("harm", ["bot", "helper", "both"])
def test_volume_is_whole_whoever_is_killed_while_it_is_copied(line: CommandLine, harm: str) -> None:
    """Kill who copies, first to back the volume up and then to restore it: nothing runs on half of it."""
    line.write(BY_VOLUME)
    assert line.run("deploy", "dev", "v1").returncode == 0
    put(line, "before")
    line.docker("exec", database(line), "sh", "-c", "head -c 300000000 /dev/zero >/data/large")
    child = line.start("deploy", "dev", "v2")
    harm_helper(line, child, harm)
    assert child.communicate()[0] is not None
    resumed = line.run("deploy", "dev", "v2")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert line.running() == {"database": "v2", "web": "v2"}
    put(line, "after")
    plan = line.document("rollback", "dev", "--data", "with", "--dry-run")
    arguments = ["rollback", "dev", "--data", "with", "--grant", *plan["new_powers"]]
    child = line.start(*arguments)
    harm_helper(line, child, harm, writes=True)
    if harm != "helper":
        assert line.running() == {}, "all that mounts the volume"
    out, err = child.communicate()
    again = line.run("deploy", "dev", "v1")  # first what the dead one left
    assert again.returncode == 0, out + err + again.stdout + again.stderr
    whole = {"before"} if harm != "helper" else {"before", "after"}
    assert held(line) in whole
    assert line.docker("exec", database(line), "stat", "-c", "%s", "/data/large") == "300000000"
    assert line.running() == {"database": "v1", "web": "v1"}
    assert line.client.containers.list(all=True, filters={"label": f"roas.data={line.project}-dev"}) == []


def harm_helper(line: CommandLine, child: subprocess.Popen[str], harm: str, *, writes: bool = False) -> None:
    """Wait for the container that copies, and kill it, or the command that it works for, or both."""

    def helper() -> str | None:
        found = line.client.api.containers(filters={"label": f"roas.data={line.project}-dev"})
        volume = f"{line.project}-dev_data"
        copying = [item["Id"] for item in found if {"Name": volume, "RW": writes}.items() <= mount_of(item, volume)]
        return next(iter(copying), None)

    assert wait_until(lambda: helper() is not None or child.poll() is not None, 60)
    there = helper()
    assert there is not None, child.communicate()
    if harm != "helper":
        child.kill()
    if harm != "bot":
        line.client.api.kill(there)


def mount_of(listed: dict[str, Any], volume: str) -> ItemsView[str, object]:
    found = next((mount for mount in listed["Mounts"] if mount.get("Name") == volume), {})
    return found.items()


def database(line: CommandLine) -> str:
    (found,) = line.docker("ps", "-q", "--filter", f"name={line.project}-dev-database").splitlines()
    return found


def put(line: CommandLine, text: str) -> None:
    line.docker("exec", database(line), "sh", "-c", f"echo {text} >/data/rows")


def held(line: CommandLine) -> str:
    return line.docker("exec", database(line), "cat", "/data/rows")
