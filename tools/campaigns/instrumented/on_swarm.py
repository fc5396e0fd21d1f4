"""Run the bot of an environment on a Swarm with each journalled step and each write to the Swarm held at a gate."""

import os
import sys
from pathlib import Path

from roas.cli import run_command_line
from roas.stack.swarm_stack import SwarmStack
from tools.campaigns.instrumented.gate import GATE_VARIABLE, Gate
from tools.campaigns.instrumented.hooks import Hooks

hooks = Hooks(Gate(Path(os.environ[GATE_VARIABLE])))
hooks.install(SwarmStack)
hooks.hold_writes()
sys.exit(run_command_line([]))
