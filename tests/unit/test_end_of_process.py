"""A program says what a full disk did not take, and does without streams and terminals."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", [["--version"], ["config", "schema"]])
def test_command_says_what_a_full_disk_did_not_take(command: list[str], unbuffered: str) -> None:
    """What was wanted is not there: no other code of a command says so, and a failure to print ends no work."""
    with Path("/dev/full").open("w") as full:
        done = roas(command, unbuffered, stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (120, "error: The output could not be written: No space left on device.\n")


def test_command_does_without_streams() -> None:
    """Nothing else that is opened takes their places, and gets what is printed."""
    done = roas(["--version"], "", preexec_fn=lambda: [os.close(number) for number in range(3)])
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
