"""End a process that hangs, before another does its work."""

import os
import select
import signal

from roas.models.ownership import ProcessMark
from roas.state.process_marks import pid_namespace, started_at

END_SECONDS = 5.0


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
