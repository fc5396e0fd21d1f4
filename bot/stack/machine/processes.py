"""End processes of ours that hang, and Compose commands that a dead one left running."""

import os
import select
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from roas.models.leader_lease import ProcessMark
from roas.stack.compose.runner import INSTANCE_VARIABLE
from roas.state.living_processes import pid_namespace, started_at

END_SECONDS = 5.0
PROCESSES = Path("/proc")
# What this bot starts, and what that starts in turn; any other process with our marker was started by a person.
COMMANDS = frozenset({"docker-compose", "docker", "docker-buildx", "setpriv"})


def end_process(mark: ProcessMark) -> bool:
    """Kill a process, also a suspended one; returns whether it is certainly gone.

    One in another container or on another machine cannot be reached, nor one of another user.
    """
    if mark.namespace != pid_namespace():
        return False
    try:
        handle = os.pidfd_open(mark.pid)
    except ProcessLookupError:
        return True
    try:
        # A pidfd guarantees that the process that was checked is the one that is killed.
        if started_at(mark.pid) != mark.started:
            return True
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        return bool(select.select([handle], [], [], END_SECONDS)[0])
    except (ProcessLookupError, FileNotFoundError):
        return True
    except PermissionError:
        return False
    finally:
        os.close(handle)


def kill_orphans(instance_id: str) -> int:
    """End the Compose children of the process with that id; returns how many were ended."""
    killed = 0
    for pid in _marked(instance_id):
        # A pidfd guarantees that the process that was checked is the one that is killed.
        with suppress(OSError):
            handle = os.pidfd_open(pid)
            try:
                if _is_marked(pid, instance_id):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    killed += 1
            finally:
                os.close(handle)
    return killed


def _marked(instance_id: str) -> Iterator[int]:
    for entry in PROCESSES.iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid() and _is_marked(int(entry.name), instance_id):
            yield int(entry.name)


def _is_marked(pid: int, instance_id: str) -> bool:
    """Return whether a process is ours; one that cannot be inspected is not."""
    try:
        environ = (PROCESSES / str(pid) / "environ").read_bytes().split(b"\0")
        command = (PROCESSES / str(pid) / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
    except OSError:
        return False
    return f"{INSTANCE_VARIABLE}={instance_id}".encode() in environ and Path(command).name in COMMANDS
