"""What a command loads: nobody waits for rooms and libraries that it does not need."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = {"pydantic", "pydantic_settings", "asyncio"}
ENGINE = {"docker", "requests", "roas.deploy", "roas.stack.swarm"}
BOT = {"discord", "roas.ui.embeds", "roas.cogs"}
ACTING = {"roas.recovery", "roas.alerts", "roas.candidates.coordinator", "prometheus_client", "roas.app"}


@pytest.mark.parametrize(
    ("module", "most", "unneeded"),
    [
        ("cli", 170, SETTINGS | ENGINE | BOT | ACTING | {"aiohttp", "rich"}),
        ("cli.config", 610, ENGINE | BOT | ACTING | {"aiohttp"}),
        ("cli.history", 610, ENGINE | BOT | ACTING),
        ("cli.status", 680, ENGINE | BOT | ACTING),
        ("cli.deploy", 690, ENGINE | BOT | ACTING),
        ("cli.services", 690, ENGINE | BOT | ACTING),
        ("cli.doctor", 1245, BOT),
        ("cli.own_process", 1245, BOT),
        ("cli.bot", 1410, {"PIL", "redis", "asyncssh", "jwt", "apprise"}),
    ],
)
def test_command_loads_what_it_needs(module: str, most: int, unneeded: set[str]) -> None:
    program = f"import sys, roas.{module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert unneeded & set(loaded) == set()
    assert len(loaded) <= most
