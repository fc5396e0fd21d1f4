"""The planted failure of the demo finds what it changes: Python goes on without a sitecustomize that fails."""

import subprocess
import sys
from pathlib import Path

from demo.unresponsive import CODE

ROOT = Path(__file__).parents[3]
GAINED = """
from roas.state.leadership import Leadership
async def main():
    one = Leadership(is_leader=False)
    one.gain()
    assert not one.is_leader
asyncio.run(main())
"""


def test_unresponsive_bot_does_not_lead_at_once():
    done = subprocess.run([sys.executable, "-c", CODE + GAINED], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
