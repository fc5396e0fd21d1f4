"""Run a command so that nothing it started outlives it, whatever ends it: `python -m testbed.supervisor COMMAND…`.

The command gets a process group of its own. A signal that reaches the supervisor alone interrupts all of that group,
and is waited for; a second one does not wait. What is left then is ended, in groups and sessions of its own too, and
the slots of private engines that nobody holds any more are cleared.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Collection
from contextlib import suppress

from testbed.interruption import ENDING, heeded
from testbed.leftovers import children_of, command_of, is_running
from testbed.slot_holder import clear_abandoned_slots

PR_SET_CHILD_SUBREAPER = 36
# By this variable a script knows that its parent is a supervisor.
SUPERVISED_BY = "SUPERVISED_BY"
# An interrupted pytest takes its engines down, and gives its workers ten seconds for that.
ORDERLY_SECONDS = 60.0
# What the command did not wait for may need a moment, and so may the command once all that it waited for was killed.
LINGERING_SECONDS, CLEARING_SECONDS, KILLED_SECONDS = 2.0, 5.0, 20.0
LOOK_SECONDS = 0.05


class Supervisor:
    """Start a command, and end all that descends from it: its orphans become children of this process."""

    def __init__(self, command: list[str]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
        self._heeded = heeded()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_BLOCK, {*self._heeded, signal.SIGCHLD})
        self.code: int | None = None
        self._command = os.posix_spawnp(
            command[0],
            command,
            {**os.environ, SUPERVISED_BY: str(os.getpid())},
            file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
            setpgroup=0,
            setsigmask=[],
            # Who was started in the background ignores some, and would hand that down; who is started here needs them.
            setsigdef=ENDING,
        )

    def run(self) -> int:
        """Wait for the command's end or a signal, end all that is left, and return the exit code."""
        number = self._wait()
        if number is None:
            self._let_end()
        else:
            sys.stderr.write(f"{number.name}: ending all that was started\n")
            os.killpg(self._command, signal.SIGINT)
            self._wait(ORDERLY_SECONDS)
        if self.code is None:  # what it waits for is ended first: then it may clear away what it made itself
            self._end_rest(sparing={self._command})
            self._wait(CLEARING_SECONDS)
        self._end_rest()
        if os.geteuid() == 0:
            clear_abandoned_slots()
        return 128 + number if number is not None else self.code or 0

    def _wait(self, seconds: float | None = None) -> signal.Signals | None:
        """Wait until the command has ended; returns the signal that came earlier, if one did."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self._has_ended():
            left = 3600.0 if deadline is None else deadline - time.monotonic()
            if left <= 0:
                return None
            came = signal.sigtimedwait({*self._heeded, signal.SIGCHLD}, left)
            if came is not None and came.si_signo != signal.SIGCHLD:
                return signal.Signals(came.si_signo)
        return None

    def _has_ended(self) -> bool:
        """Let go of children that have ended, also of those that were adopted."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return self.code is not None
            if pid == self._command:
                code = os.waitstatus_to_exitcode(status)
                self.code = code if code >= 0 else 128 - code

    def _let_end(self) -> None:
        """Give what the command did not wait for a moment, and say what is still there after it."""
        deadline = time.monotonic() + LINGERING_SECONDS
        while left := self._descendants():
            if time.monotonic() >= deadline:
                names = sorted({" ".join(command_of(pid)[:4]).strip() for pid in left})
                sys.stderr.write("\n  ".join(["left running, and ended now:", *names]) + "\n")
                return
            signal.sigtimedwait({signal.SIGCHLD}, LOOK_SECONDS)
            self._has_ended()

    def _end_rest(self, sparing: Collection[int] = ()) -> None:
        """Kill all descendants, and what they start meanwhile."""
        deadline = time.monotonic() + KILLED_SECONDS
        while (left := self._descendants() - set(sparing)) and time.monotonic() < deadline:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            signal.sigtimedwait({signal.SIGCHLD}, LOOK_SECONDS)
            self._has_ended()

    def _descendants(self) -> set[int]:
        found: set[int] = set()
        parents = [os.getpid()]
        while parents:
            children = children_of(parents.pop())
            parents += children
            found |= {pid for pid in children if is_running(pid)}
        return found


def main() -> int:
    """Run the command of the command line."""
    return Supervisor(sys.argv[1:]).run()


if __name__ == "__main__":
    sys.exit(main())
