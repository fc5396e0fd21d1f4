"""Run the bot with every journalled step and every act on the engine held at a gate; plant a defect if asked to."""

import os
import sys
from pathlib import Path

from bot.commands import run_command_line
from campaigns.instrumented.gate import GATE_VARIABLE, PLANT_VARIABLE, Gate
from campaigns.instrumented.hooks import Hooks
from campaigns.instrumented.plants import plant

plant(os.environ.get(PLANT_VARIABLE, ""))
Hooks(Gate(Path(os.environ[GATE_VARIABLE]))).install()
sys.exit(run_command_line([]))
