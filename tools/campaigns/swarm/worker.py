"""`python -m tools.campaigns.swarm.worker deploy dev v2`: the command line, held at a gate at each step and each write.

With `resume`, the bot that takes over after one that died.
"""

import asyncio
import os
import sys
from pathlib import Path

from roas.cli import run_command_line
from roas.stack.swarm_stack import SwarmStack
from tools.campaigns.instrumented.gate import GATE_VARIABLE, Gate
from tools.campaigns.instrumented.hooks import Hooks
from tools.campaigns.swarm import resume

RESUME = "resume"

if __name__ == "__main__":
    hooks = Hooks(Gate(Path(os.environ[GATE_VARIABLE])))
    hooks.install(SwarmStack)
    hooks.hold_writes()
    if sys.argv[1:] == [RESUME]:
        asyncio.run(resume.main())
        sys.exit(0)
    sys.exit(run_command_line(sys.argv[1:]))
