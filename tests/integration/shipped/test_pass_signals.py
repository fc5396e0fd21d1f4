"""What stands between root and the bot in its container: signals go down, the exit code comes up."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.inherited import chosen_programs
from testbed.terminal import CTRL_C, terminal
from testbed.waiting import wait_until

SCRIPT = Path(__file__).parents[3] / "script" / "container-pass-signals"
USER = "10001"
SECONDS = 30
TELL = "trap 'echo heard {0}' {0}; echo ready; while :; do sleep 0.05; done"


def command(*text: str) -> list[str]:
    if os.geteuid() != 0:
        pytest.fail("only root can give root up: run the tests as root", pytrace=False)
    become = ("setpriv", "--reuid", USER, "--clear-groups")
    return [sys.executable, "-IS", str(SCRIPT), USER, *become, *text]


def run(*text: str, below: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*below, *command(*text)], capture_output=True, text=True, check=False, timeout=SECONDS, cwd="/"
    )


@pytest.mark.parametrize(
    ("program", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -9 $$", 137)]
)
def test_exit_code_is_that_of_the_command(program, code):
    assert run("sh", "-c", program).returncode == code


def test_missing_command_is_named():
    done = run("no-such-program")
    assert done.returncode == 127
    assert "no-such-program" in done.stderr


# Without CAP_KILL, as in a container, root may not signal the command itself.
@pytest.mark.parametrize("name", ["TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "ALRM", "WINCH", "CONT"])
def test_signal_reaches_another_users_command(name):
    below = ("setpriv", "--bounding-set=-kill", "--inh-caps=-kill", "--no-new-privs")
    with subprocess.Popen(
        [*below, *command("sh", "-c", TELL.format(name))], stdout=subprocess.PIPE, text=True, cwd="/"
    ) as child:
        try:
            assert child.stdout.readline() == "ready\n"
            (inner,) = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
            assert f"Uid:\t{USER}\t{USER}\t{USER}\t{USER}\n" in Path(f"/proc/{inner}/status").read_text()
            child.send_signal(signal.Signals[f"SIG{name}"])
            assert child.stdout.readline() == f"heard {name}\n"
        finally:
            os.kill(int(inner), signal.SIGKILL)
    assert child.returncode == 137


def test_signal_at_the_first_moment_is_not_lost():
    for _ in range(20):
        with subprocess.Popen(command("sleep", "60"), cwd="/") as child:
            children = Path(f"/proc/{child.pid}/task/{child.pid}/children")
            while not children.read_text():  # which has everything still before it
                assert child.poll() is None
            child.terminate()
            assert child.wait(SECONDS) == 143


def test_command_gets_the_signals_as_any_program_does():
    status = run("cat", "/proc/self/status").stdout
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert int(fields["SigBlk"], 16) == 0
    assert int(fields["SigIgn"], 16) == 0


def waits_for(pid: int, number: signal.Signals) -> bool:
    """Tell whether a process has a signal that it has not taken yet."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return any(line[0] in {"SigPnd:", "ShdPnd:"} and int(line[1], 16) >> (number - 1) & 1 for line in lines)


def test_ctrl_c_is_heard_once(tmp_path):
    with terminal(command("sh", "-c", TELL.format("INT")), chosen_programs(), tmp_path) as opened:
        opened.read_until("ready", SECONDS)
        opened.press(CTRL_C)
        opened.read_until("heard INT", SECONDS)
        # Two of a kind that nobody has taken yet are one to the kernel.
        assert wait_until(lambda: not waits_for(opened.process.pid, signal.SIGINT), SECONDS)
        opened.process.send_signal(signal.SIGINT)
        opened.read_until("heard INT\r\nheard INT", SECONDS)
        opened.process.send_signal(signal.SIGTERM)
        assert opened.process.wait(SECONDS) == 143
        assert opened.seen.count("heard INT") == 2


def test_first_process_reaps_orphans():
    program = "(sleep 0.1 & ) ; sleep 0.5; grep -l '^State:.Z' /proc/[0-9]*/status; echo end"
    done = run("sh", "-c", program, below=("unshare", "--pid", "--fork", "--mount-proc"))
    assert (done.stdout, done.returncode) == ("end\n", 0), done.stderr
