"""A bot, or a command line, that is stopped between its fence check and its engine call, and one that takes over so.

Where the file of STOPS_WHERE is there, the process takes it away and stops itself before Compose replaces `web`. With
CARELESS, it takes over without ending the other process first.
"""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from roas.commands import run_command_line
from roas.deployment import peer_processes
from roas.deployment.peer_processes import PeerProcesses
from roas.engine.containers.service_creation import ServiceCreator
from roas.models.environment import Environment
from roas.state import ownership
from roas.state.journal import Journal

ownership.LEASE_SECONDS = peer_processes.HUNG_SECONDS = 2.5
_create = ServiceCreator._compose_create
_transact = Journal._transact
# Whoever is stopped in the middle of a write holds the journal, and nobody could take over.
_writing = threading.Lock()


def _one_by_one(self: Journal, *arguments: Any) -> Any:
    with _writing:
        return _transact(self, *arguments)


async def _stop_and_create(self: ServiceCreator, environment: Environment, *arguments: Any, **options: Any) -> None:
    mark = Path(os.environ["STOPS_WHERE"])
    if mark.exists() and arguments[1].wanted.definition.name == "web":
        mark.unlink()
        with _writing:
            os.kill(os.getpid(), signal.SIGSTOP)
    await _create(self, environment, *arguments, **options)


async def _leave_it_alone(self: PeerProcesses, home: Environment | None, instance_id: str, *_still: object) -> str:
    return ""


Journal._transact = _one_by_one  # type: ignore[method-assign,assignment]
ServiceCreator._compose_create = _stop_and_create  # type: ignore[method-assign]
if os.environ.get("CARELESS"):
    PeerProcesses.terminate = _leave_it_alone  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.exit(run_command_line(sys.argv[1:]))
