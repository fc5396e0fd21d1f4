"""Run the bot with every journalled step and every act on the engine held at a gate; plant a defect if asked to.

With `ill` as its argument it is a version that takes over and becomes unhealthy.
"""

import os
import sys
from pathlib import Path

from roas.cli import run_command_line
from tools.campaigns.instrumented.gate import GATE_VARIABLE, PLANT_VARIABLE, Gate
from tools.campaigns.instrumented.hooks import Hooks
from tools.campaigns.instrumented.plants import plant
from tools.campaigns.instrumented.unhealthy import ILL, UnhealthyGate

plant(os.environ.get(PLANT_VARIABLE, ""))
make_gate = UnhealthyGate if sys.argv[1:] == [ILL] else Gate
Hooks(make_gate(Path(os.environ[GATE_VARIABLE]))).install()
sys.exit(run_command_line([]))
