"""Stop a process: a signal alone says only that it will stop, and a busy machine takes its time."""

import os
import signal


def stop_process(pid: int) -> None:
    """Stop a child of this process, and return once it does nothing more; SIGCONT lets it go on."""
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
