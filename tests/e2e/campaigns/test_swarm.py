"""Rounds of the campaign on a Swarm: the bot, a node and two managers die, a leader stalls; each end is honest."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.engine, pytest.mark.long, pytest.mark.timeout(1800)]
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(("who", "rounds"), [("bot", 12), ("node", 8), ("quorum", 2), ("leader", 3)])
def test_each_end_is_honest(who: str, rounds: int) -> None:
    """`python -m tools.campaigns.swarm` plays all of them."""
    command = [sys.executable, "-m", "tools.campaigns.swarm", "--only", who, "--limit", str(rounds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{rounds} rounds, 0 broken" in done.stdout, "it knows no more steps at which to kill"
