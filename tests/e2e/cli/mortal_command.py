"""A command that kills itself, without a word, at the n-th write of a deployment to the journal (MORTAL_AT).

All of those writes check the fence of who has the deployment, also those that announce nothing, such as what stands
still for a copy. With MORTAL_WHEN=before, the write is not done: what it follows is, and nobody has noted that.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from roas.cli import run_command_line
from roas.state.journal.journal import Journal
from roas.state.transaction import Fence

AT, WHEN = int(os.environ["MORTAL_AT"]), os.environ.get("MORTAL_WHEN", "after")
_written = 0
_write = Journal.write


def _die_at(count: int, when: str) -> None:
    if (count, when) == (AT, WHEN):
        os.kill(os.getpid(), signal.SIGKILL)


async def _write_or_die(self: Journal, work: Callable[..., Any], *, fence: Fence | None = None) -> Any:
    global _written
    if fence is None:
        return await _write(self, work)
    _written = count = _written + 1
    _die_at(count, "before")
    done = await _write(self, work, fence=fence)
    _die_at(count, "after")
    return done


Journal.write = _write_or_die  # type: ignore[method-assign,assignment]

if __name__ == "__main__":
    sys.exit(run_command_line(sys.argv[1:]))
