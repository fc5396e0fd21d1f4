"""Whoever ends script/test, ends all that it started: engines, networks, mounts and processes."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from testbed.leftovers import command_of
from testbed.network import lock_slot, run
from testbed.waiting import wait_until
from tests.integration.testbed.script_project import make_project

pytestmark = [pytest.mark.engine, pytest.mark.long]

# One that ends in order when it is interrupted, and one that is deaf to that and has to be killed.
ORDERLY = """
import time
from pathlib import Path
from testbed.daemon import PrivateDaemon
from testbed.sample import sample_image

def test_orderly(tmp_path):
    with PrivateDaemon(tmp_path / "engine") as daemon:
        client = daemon.client()
        sample_image(client, "testbed/app:v1")
        client.networks.create("made")
        client.containers.run("testbed/app:v1", detach=True, network="made")
        Path("orderly.begun").write_text(daemon.slot.name)
        time.sleep(600)
"""
DEAF = """
import signal, subprocess, time
from pathlib import Path
from testbed.swarm import Swarm

def test_deaf(tmp_path):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Swarm(tmp_path / "swarm") as swarm:
        subprocess.Popen(["sleep", "12345"], start_new_session=True, env={})
        (tmp_path / "disk").mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "deaf", str(tmp_path / "disk")], check=True)
        Path("deaf.begun").write_text(swarm.slot.name)
        time.sleep(600)
"""


def left_of(slots: list[str], folders: list[str]) -> list[str]:
    """Return what the machine still has of the slots of engines and below folders."""
    links = [line for line in run("ip", "-oneline", "link").splitlines() if any(f" {slot}" in line for slot in slots)]
    spaces = [
        line for line in run("ip", "netns", "list").splitlines() if line.startswith(tuple(f"{s}-" for s in slots))
    ]
    places = [*folders, *(f"/run/roas-testbed/{slot.removeprefix('roas-t')}/" for slot in slots)]
    mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if any(place in line for place in places)]
    commands = [" ".join(command_of(int(path.name))) for path in Path("/proc").iterdir() if path.name.isdigit()]
    mine = [command for command in commands if any(place in command for place in [*places, *slots, "sleep 12345"])]
    return [*links, *spaces, *mounts, *mine]


def test_ended_run_leaves_nothing(tmp_path):
    project = make_project(tmp_path / "project")
    for name, text in (("orderly", ORDERLY), ("deaf", DEAF)):
        (project / "tests" / f"test_{name}.py").write_text(text)
    kept = {name: value for name, value in os.environ.items() if name != "TMPDIR"}
    with (project / "output").open("wb") as output:
        lane = subprocess.Popen(
            ["script/test", "--fast"],
            cwd=project,
            env={**kept, "XDG_CACHE_HOME": str(tmp_path), "PYTEST_WORKERS": "2"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            begun = [project / f"{name}.begun" for name in ("orderly", "deaf")]
            assert wait_until(lambda: lane.poll() is not None or all(path.exists() for path in begun), 60)
            assert lane.poll() is None, (project / "output").read_text()
            slots = [path.read_text() for path in begun]
            (base,) = {
                line.split()[1]
                for line in Path("/proc/mounts").read_text().splitlines()
                if "/disk " in line and line.startswith("deaf ")
            }
            folders = [str(project), str(Path(base).parents[2])]
            assert len(left_of(slots, folders)) > 6
            lane.send_signal(signal.SIGTERM)
            code = lane.wait(60)
        finally:
            lane.kill()
    # One that another test has taken by now was free.
    free = [found for slot in slots if (found := lock_slot(int(slot.removeprefix("roas-t")))) is not None]
    try:
        assert left_of([one.name for one in free], folders) == []
    finally:
        for item in free:
            item.release()
    assert code == 128 + signal.SIGTERM
