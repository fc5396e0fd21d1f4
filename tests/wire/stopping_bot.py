"""A bot, or a command line, that is stopped between its fence check and its engine call, and one that takes over so.

Where the file of STOPS_WHERE is there, the process takes it away and stops itself before Compose replaces `web`. With
CARELESS, it takes over without ending the other process first.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from bot.commands import run_command_line
from bot.deployment import rivals
from bot.deployment.rivals import Rivals
from bot.engine.service_creation import ServiceCreator
from bot.models.environment import Environment
from bot.state import ownership

ownership.LEASE_SECONDS = rivals.HANGING_SECONDS = 2.5
_create = ServiceCreator._compose_create


async def _stop_and_create(self: ServiceCreator, environment: Environment, *arguments: Any, **options: Any) -> None:
    mark = Path(os.environ["STOPS_WHERE"])
    if mark.exists() and arguments[1].definition.name == "web":
        mark.unlink()
        os.kill(os.getpid(), signal.SIGSTOP)
    await _create(self, environment, *arguments, **options)


async def _leave_it_alone(self: Rivals, home: Environment | None, instance_id: str, *_still: object) -> str:
    return ""


ServiceCreator._compose_create = _stop_and_create  # type: ignore[method-assign]
if os.environ.get("CARELESS"):
    Rivals.end = _leave_it_alone  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.exit(run_command_line(sys.argv[1:]))
