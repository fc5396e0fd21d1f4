"""A bot that kills itself, without a word, right after the n-th step of the first deployment it begins (MORTAL_AFTER).

What it resumes of a dead one it ends in peace, and so it lives where its first one has fewer steps. With MORTAL_FROM
it counts all that is written from the first change on of which that is the source.
"""

import os
import signal
import sys

from roas.cli import run_command_line
from roas.models.state_change import ChangeType, StateChange
from roas.state.manager import StateManager

AFTER, FROM = int(os.environ["MORTAL_AFTER"]), os.environ.get("MORTAL_FROM", "")
COUNTED = frozenset(
    {
        ChangeType.DEPLOYMENT_STARTED,
        ChangeType.DEPLOYMENT_PHASE_CHANGED,
        ChangeType.SERVICE_PROGRESSED,
        ChangeType.RELEASE_CREATED,
        ChangeType.RELEASE_ACTIVATED,
        ChangeType.DEPLOYMENT_FINISHED,
    }
)
_counted = 0
_is_over = False
_notify = StateManager._notify_subscribers


def _notify_and_die(self: StateManager, change: StateChange) -> None:
    global _counted, _is_over
    is_first = change.source == FROM if FROM else change.type is ChangeType.DEPLOYMENT_STARTED
    if (FROM or change.type in COUNTED) and not _is_over and (_counted or is_first):
        _counted += 1
        if _counted == AFTER:
            os.kill(os.getpid(), signal.SIGKILL)
        _is_over = change.type is ChangeType.DEPLOYMENT_FINISHED
    _notify(self, change)


StateManager._notify_subscribers = _notify_and_die  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.exit(run_command_line([]))
