"""Rounds in which nodes are lost under two bots, of which one leads: one leads in the end, and what is told is true."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.engine, pytest.mark.long, pytest.mark.timeout(1200)]
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(("how", "rounds"), [("killed", 4), ("frozen", 2)])
def test_lost_nodes_leave_one_leader_and_honest_ends(how: str, rounds: int) -> None:
    """`python -m tools.campaigns.standby` plays all of them."""
    command = [sys.executable, "-m", "tools.campaigns.standby", "--how", how, "--limit", str(rounds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{rounds} rounds, 0 broken" in done.stdout
