"""A bot, or a command line, that is stopped between its fence check and its engine call.

Where the file of STOPS_WHERE is there, the process takes it away and stops itself before Compose makes `web`.
"""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from roas.cli import run_command_line
from roas.deploy.handover import peer_processes
from roas.stack.containers.service_creation import ServiceCreator
from roas.state import leader_lease as ownership
from roas.state.journal.journal import Journal

ownership.LEASE_SECONDS = peer_processes.HUNG_SECONDS = 2.5
_create = ServiceCreator._compose_create
_transact = Journal._transact
# Whoever is stopped in the middle of a write holds the journal, and nobody could take over.
_writing = threading.Lock()


def _one_by_one(self: Journal, *arguments: Any) -> Any:
    with _writing:
        return _transact(self, *arguments)


async def _stop_and_create(self: ServiceCreator, *arguments: Any, **options: Any) -> None:
    mark = Path(os.environ["STOPS_WHERE"])
    if mark.exists() and arguments[1].wanted.definition.name == "web":
        mark.unlink()
        with _writing:
            os.kill(os.getpid(), signal.SIGSTOP)
    await _create(self, *arguments, **options)


Journal._transact = _one_by_one  # type: ignore[method-assign,assignment]
ServiceCreator._compose_create = _stop_and_create  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.exit(run_command_line(sys.argv[1:]))
