"""A program ends at once, and loses nothing: threads, what is left for the end, and what was printed."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import atexit, sys, threading
import roas.__main__ as program

class Kept:
    def __del__(self):
        print("taken apart")

def main():
    print("in the thread follows")
    go_on = threading.Event()
    threading.Thread(target=lambda: (go_on.wait(), print("in the thread"))).start()
    atexit.register(go_on.set)
    go_on.set()
    atexit.register(print, "registered within")
    {act}
    return 3

kept = Kept()
atexit.register(print, "registered before")
program.main = main
program.run()
"""
SAID = ["in the thread follows", "in the thread", "registered within", "registered before"]


def ended(act: str, **files: object) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment = inherited | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PROGRAM.format(act=act)]
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | files
    return subprocess.run(command, env=environment, text=True, check=False, **given)


def test_nothing_is_lost_and_nothing_taken_apart() -> None:
    done = ended("pass")
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (3, SAID, "")


def test_error_is_python_s_own_end() -> None:
    done = ended("raise RuntimeError('broken')")
    assert (done.returncode, done.stdout.splitlines()[:4]) == (1, SAID)
    assert "RuntimeError: broken" in done.stderr


@pytest.mark.parametrize("act", ["atexit.register(lambda: 1 / 0)", "sys.stdout.close()"])
def test_fault_at_the_end_is_told_by_python(act: str) -> None:
    done = ended(act)
    assert done.returncode in {3, 120}
    assert "Error" in done.stderr


def test_full_disk_is_told_by_exit_code() -> None:
    with Path("/dev/full").open("w") as full:
        done = ended("pass", stdout=full)
    assert done.returncode == 120
    assert "No space left" in done.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", [["--version"], ["config", "schema"]])
def test_command_says_what_a_full_disk_did_not_take(command: list[str], unbuffered: str) -> None:
    """What was wanted is not there: no other code of a command says so, and a failure to print ends no work."""
    with Path("/dev/full").open("w") as full:
        done = roas(command, unbuffered, stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (120, "error: The output could not be written: No space left on device.\n")


def test_command_does_without_streams() -> None:
    """Nothing else that is opened takes their places, and gets what is printed."""
    done = roas(["--version"], "", preexec_fn=lambda: [os.close(one) for one in range(3)])
    assert done.returncode == 0


def roas(command: list[str], unbuffered: str, **files: object) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered}
    return subprocess.run([sys.executable, "-m", "roas", *command], env=environment, text=True, check=False, **files)


def test_terminal_that_was_closed_breaks_nobody() -> None:
    """It says of itself that it is none by then."""
    ours, its = pty.openpty()
    program = (
        "import sys; from roas.terminals import outlive_terminals\n"
        "outlive_terminals(); print('ready', file=sys.stderr, flush=True); sys.stdin.read(); print(1)"
    )
    command, environment = [sys.executable, "-c", program], os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=its, stderr=subprocess.PIPE, env=environment
    ) as program_there:
        assert program_there.stderr is not None
        assert program_there.stderr.readline() == b"ready\n"
        os.close(its)
        os.close(ours)
        assert program_there.communicate()[1] == b""
    assert program_there.returncode == 0
