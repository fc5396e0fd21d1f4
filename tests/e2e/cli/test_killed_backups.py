"""Whoever is killed at any step of a backup or a restore: nothing runs on half of the data, and all runs again."""

import re
import signal
import subprocess
import sys
from collections.abc import ItemsView, Iterable
from typing import Any

import pytest

from testbed.waiting import wait_until
from tests.e2e.cli.conftest import REPOSITORY, CommandLine
from tests.e2e.cli.test_backups import STACK, database, held, put

# Labels of the containers that the bot makes for it.
SCRATCH, HELPER = "roas.backup-check", "roas.data"
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
BY_COMMAND = STACK.replace("cat >/data/rows", SLOW).replace("\nvolumes:", f"{WEB}volumes:")
# The same by a copy of the volume, which another service mounts, too.
SHARED = BY_COMMAND.replace(
    "depends_on: [database]",
    """depends_on: [database]
    volumes: ["data:/data"]""",
)
BY_VOLUME = re.sub(r"backup: .*", "backup: {volume: data, verify: 'tar -t >/dev/null'}", SHARED)
WAYS = {"command": BY_COMMAND, "volume": BY_VOLUME}
NO_MORE_WRITES = 150
# The ordinary lane has these: what was stopped runs again, and nobody has noted that; all is restored, and stopped.
BACKUP_SAMPLE, RESTORE_SAMPLE = [15], [24]
LARGE_BYTES = 300_000_000
TABLE = [
    pytest.param(way, when, marks=() if (way, when) == ("volume", "before") else pytest.mark.long)
    for way in WAYS
    for when in ("before", "after")
]


def writes(long_lane: bool, sample: Iterable[int]) -> Iterable[int]:
    """Return the writes at which the command is killed: all of them until it lives on, or those few."""
    return range(1, NO_MORE_WRITES) if long_lane else sample


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("way", "when"), TABLE)
def test_killed_backup_leaves_nothing_stopped(line: CommandLine, long_lane: bool, way: str, when: str) -> None:
    """Kill the command at a write of the deployment, the next one at the next write, until one lives on."""
    line.write(WAYS[way])
    assert line.run("deploy", "dev", "v1").returncode == 0
    put(line, "rows")
    volumes = volumes_of(line)
    killed, version = 0, "v1"
    for write in writes(long_lane, BACKUP_SAMPLE):
        version = "v2" if version == "v1" else "v1"
        if not is_killed(line, write, when, "deploy", "dev", version):
            break
        killed += 1
        resumed = line.run("deploy", "dev", version)  # first what the dead one left
        assert resumed.returncode == 0, f"killed {when} write {write}:\n{resumed.stdout}{resumed.stderr}"
        assert line.running() == {"database": version, "web": version}, f"killed {when} write {write}"
        assert held(line) == "rows"
        require_nothing_left(line, volumes)
    assert killed > 20 or not long_lane, killed
    assert line.document("backups", "verify", "dev")["damaged"] == []
    print(f"backup by {way}: killed {when} each of {killed} writes")


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("way", "when"), TABLE)
def test_killed_restore_is_done_again_before_its_data_is_used(
    line: CommandLine, long_lane: bool, way: str, when: str
) -> None:
    """Kill the command at a write of the rollback, the next one at the next write, until one lives on."""
    line.write(WAYS[way])
    assert line.run("deploy", "dev", "v1").returncode == 0
    volumes = volumes_of(line)
    killed = 0
    for write in writes(long_lane, RESTORE_SAMPLE):
        arguments = destroyed(line)
        if not is_killed(line, write, when, *arguments):
            break
        killed += 1
        assert long_lane or line.running() == {}, "else this sample shows nothing"
        require_whole_where_used(line, way)
        resumed = line.run("deploy", "dev", "v1")  # first what the dead one left
        assert resumed.returncode == 0, f"killed {when} write {write}:\n{resumed.stdout}{resumed.stderr}"
        # One that left nothing to resume had not begun, or had ended.
        whole = {"before"} if "Resuming ROLLBACK-" in resumed.stdout else {"before", "after"}
        assert held(line) in whole, f"killed {when} write {write}:\n{resumed.stdout}"
        assert line.running() == {"database": "v1", "web": "v1"}, f"killed {when} write {write}"
        require_nothing_left(line, volumes)
    if long_lane:
        assert killed > 20, killed
        assert held(line) == "before"
    print(f"restore by {way}: killed {when} each of {killed} writes")


@pytest.mark.long
def test_half_restored_data_is_used_by_nobody(line: CommandLine) -> None:
    """Kill the command while the database has half of its data: the next one restores all of it first."""
    line.write(BY_COMMAND)
    assert line.run("deploy", "dev", "v1").returncode == 0
    child = line.start(*destroyed(line))
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
@pytest.mark.parametrize("harm", ["bot", "helper", "both"])
def test_volume_is_whole_whoever_is_killed_while_it_is_copied(line: CommandLine, harm: str) -> None:
    """Kill who copies, first to back the volume up and then to restore it: nothing runs on half of it."""
    line.write(BY_VOLUME)
    assert line.run("deploy", "dev", "v1").returncode == 0
    put(line, "before")
    volumes = volumes_of(line)
    line.docker("exec", database(line), "sh", "-c", f"head -c {LARGE_BYTES} /dev/zero >/data/large")
    child = line.start("deploy", "dev", "v2")
    harm_helper(line, child, harm)
    assert child.communicate()[0] is not None
    resumed = line.run("deploy", "dev", "v2")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert line.running() == {"database": "v2", "web": "v2"}
    put(line, "after")
    arguments = ["rollback", "dev", "--data", "with"]
    child = line.start(*arguments)
    harm_helper(line, child, harm, writes=True)
    if harm != "helper":
        assert line.running() == {}, "all that mounts the volume"
    out, err = child.communicate()
    again = line.run("deploy", "dev", "v1")  # first what the dead one left
    assert again.returncode == 0, out + err + again.stdout + again.stderr
    whole = {"before"} if harm != "helper" else {"before", "after"}
    assert held(line) in whole
    assert line.docker("exec", database(line), "stat", "-c", "%s", "/data/large") == str(LARGE_BYTES)
    assert line.running() == {"database": "v1", "web": "v1"}
    require_nothing_left(line, volumes)


@pytest.mark.long
def test_container_that_verifies_goes_with_what_resumes(line: CommandLine) -> None:
    """Kill the command while its backup is verified: the next one makes another backup, and leaves no container."""
    line.write(re.sub("verify: '[^']*'", "verify: 'sleep 5'", BY_VOLUME))
    assert line.run("deploy", "dev", "v1").returncode == 0
    volumes = volumes_of(line)
    child = line.start("deploy", "dev", "v2")
    assert wait_until(lambda: line.client.containers.list(filters={"label": SCRATCH}), 60)
    child.kill()
    child.communicate()
    assert line.running() == {"database": "v1", "web": "v1"}, "they were stopped for the copy alone"
    resumed = line.run("deploy", "dev", "v2")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert line.running() == {"database": "v2", "web": "v2"}
    assert len(line.document("backups", "list", "dev")["backups"]) == 1
    require_nothing_left(line, volumes)


def harm_helper(line: CommandLine, child: subprocess.Popen[str], harm: str, *, writes: bool = False) -> None:
    """Wait for the container that copies, and kill it, or the command that it works for, or both."""

    def helper() -> str | None:
        found = line.client.api.containers(filters={"label": f"{HELPER}={line.project}-dev"})
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


def destroyed(line: CommandLine) -> list[str]:
    """Deploy v2 with its backup, change the data, and return what a person types to have it back."""
    put(line, "before")
    deployed = line.run("deploy", "dev", "v2")
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    put(line, "after")
    return ["rollback", "dev", "--data", "with"]


def is_killed(line: CommandLine, write: int, when: str, *arguments: str) -> bool:
    """Run a command that kills itself at a write of its deployment; return whether it had so many."""
    environ = {"MORTAL_AT": str(write), "MORTAL_WHEN": when}
    child = line._start([sys.executable, "-m", "tests.e2e.cli.mortal_command", *arguments], environ)
    out, err = child.communicate(timeout=120)
    assert child.returncode in {0, -signal.SIGKILL}, out + err
    return child.returncode != 0


def require_whole_where_used(line: CommandLine, way: str) -> None:
    """Nobody but the database, which is told to read it, runs on half of the data."""
    users = {"web"} if way == "command" else {"database", "web"}
    if used := users & line.running().keys():
        reader = used.pop() if way == "volume" else "database"
        assert line.docker("exec", container(line, reader), "cat", "/data/rows") in {"before", "after"}


def require_nothing_left(line: CommandLine, volumes: frozenset[str]) -> None:
    """No container of a backup is left, no half of one, and no volume."""
    for label in (f"{HELPER}={line.project}-dev", SCRATCH):
        assert line.client.containers.list(all=True, filters={"label": label}) == [], label
    assert not list((line.state / "data-backups").glob("*.part"))
    assert volumes_of(line) == volumes


def volumes_of(line: CommandLine) -> frozenset[str]:
    return frozenset(str(volume.name) for volume in line.client.volumes.list())


def container(line: CommandLine, service: str) -> str:
    (found,) = line.docker("ps", "-q", "--filter", f"name={line.project}-dev-{service}").splitlines()
    return found
