"""A supervised command ends with all that it started, by whichever signal, and its exit code is passed on."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from testbed.leftovers import is_running
from testbed.waiting import wait_until

# A tool that every other test uses: where it fails, they do.
pytestmark = pytest.mark.long

SUPERVISOR = [sys.executable, "-m", "testbed.supervisor"]
# A child in a session of its own, whose parent is gone, and which is deaf to all that can be ignored.
ORPHAN = """
trap '' INT TERM HUP
(setsid --fork sh -c 'echo $$ >orphan; while :; do sleep 60; done')
until [ -s orphan ]; do sleep 0.02; done
"""
PYTHONPATH = str(Path(__file__).parents[3])


@pytest.fixture
def supervised(tmp_path):
    """Give what starts a shell's script under a supervisor, in a folder of its own."""
    started = []

    def start(script, *before):
        process = subprocess.Popen(
            [*before, *SUPERVISOR, "sh", "-c", script],
            cwd=tmp_path,
            env={"PYTHONPATH": PYTHONPATH, "PATH": "/usr/bin:/bin"},
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stderr.close()


def orphan_of(folder):
    assert wait_until((folder / "ready").exists, 10)
    return int((folder / "orphan").read_text())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT], ids=str)
def test_any_signal_ends_all(supervised, tmp_path, number):
    """An interrupt is what the command gets, whatever came: it clears away, and what it left is killed."""
    orphan = f"({ORPHAN})"
    process = supervised(f"trap 'touch cleared; exit 3' INT; {orphan}; touch ready; while :; do sleep 0.05; done")
    left = orphan_of(tmp_path)
    process.send_signal(number)
    assert process.wait(20) == 128 + number
    assert (tmp_path / "cleared").exists()
    assert not is_running(left)


def test_second_signal_does_not_wait(supervised, tmp_path):
    process = supervised(f"{ORPHAN} touch ready; while :; do sleep 60; done")
    left = orphan_of(tmp_path)
    process.send_signal(signal.SIGTERM)
    assert "ending all" in process.stderr.readline()
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(50) == 128 + signal.SIGTERM
    assert time.monotonic() - began < 30
    assert not is_running(left)


def test_exit_code_is_passed_on_and_what_is_left_named(supervised, tmp_path):
    process = supervised(f"({ORPHAN}); touch ready; exit 7")
    left = orphan_of(tmp_path)
    assert process.wait(20) == 7
    assert not is_running(left)
    assert "left running, and ended now:\n  sh -c echo $$ >orphan" in process.stderr.read()


def test_nohup_protects(supervised, tmp_path):
    process = supervised("touch ready; until [ -e go ]; do sleep 0.05; done; exit 4", "nohup")
    assert wait_until((tmp_path / "ready").exists, 10)
    process.send_signal(signal.SIGHUP)
    (tmp_path / "go").touch()
    assert process.wait(10) == 4


def test_run_in_background_is_interrupted_all_the_same(supervised, tmp_path):
    """A shell without job control lets it ignore SIGINT."""
    ignoring = ["sh", "-c", "trap '' INT; exec \"$@\"", "-"]
    process = supervised("trap 'touch cleared; exit 3' INT; touch ready; while :; do sleep 0.05; done", *ignoring)
    assert wait_until((tmp_path / "ready").exists, 10)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert (tmp_path / "cleared").exists()
