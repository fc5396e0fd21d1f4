"""A process that hangs is ended by its number and the moment of its start, and no other one in its place."""

import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest

from roas.models.leader_lease import ProcessMark
from roas.stack.machine.processes import end_process
from roas.state.living_processes import pid_namespace, started_at
from testbed.stopping import stop_process


@pytest.fixture
def stopped() -> Iterator[subprocess.Popen[bytes]]:
    """Start a process, and stop it."""
    with subprocess.Popen(["sleep", "60"]) as process:
        stop_process(process.pid)
        yield process
        process.kill()


def mark(process: subprocess.Popen[bytes]) -> ProcessMark:
    return ProcessMark(process.pid, started_at(process.pid), pid_namespace())


def test_stopped_process_ended(stopped):
    assert end_process(mark(stopped))
    assert stopped.wait(5) == -signal.SIGKILL


def test_reused_pid_left_alone(stopped):
    earlier = replace(mark(stopped), started=mark(stopped).started - 1)
    assert end_process(earlier), "the one that was meant is gone"
    assert stopped.poll() is None


def test_process_of_other_container_left_alone(stopped):
    assert not end_process(replace(mark(stopped), namespace="pid:[1]"))
    assert stopped.poll() is None


def test_missing_process_counts_as_gone(stopped):
    known = mark(stopped)
    stopped.kill()
    stopped.wait(5)
    assert end_process(known)
