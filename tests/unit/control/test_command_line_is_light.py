"""The command line loads what a command needs, and no more."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from roas.control.client import ControlClient
from roas.control.server import ControlServer
from roas.state.documents import to_json
from roas.state.manager import StateManager

ROOT = Path(__file__).resolve().parents[3]
# What the bot needs of others, and what they would load only since it is installed.
HEAVY = {"PIL", "aiohttp", "charset_normalizer", "discord", "docker", "prometheus_client", "redis", "requests", "yaml"}
DRAWING = {"pygments", "rich"}
# What reads arguments and settings: to pass on a document takes none of it.
READING = {"asyncio", "pydantic", "pydantic_settings", "structlog", "typer"}
# What only the bot by itself needs: Discord, pictures, and what serves HTTP and counts for a Prometheus.
OF_THE_BOT = {"PIL", "aiohttp", "discord", "prometheus_client", "redis", "wsgiref"}
LISTING = """
import atexit, sys
from roas.__main__ import main
loaded = lambda: print(*sorted({name.partition(".")[0] for name, one in sys.modules.items() if one}), file=sys.stderr)
atexit.register(loaded)
sys.exit(main())
"""


def environment(state: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "STATE_DIR": str(state), "STACK_DIR": str(state)}


def test_version_loads_little(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LISTING, "--version"]
    done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, check=True)
    assert done.stdout.startswith("roas ")
    assert not (HEAVY | DRAWING | READING) & set(done.stderr.split())


@pytest.mark.parametrize("arguments", [("--json",), ()], ids=["document", "drawn"])
async def test_status_of_living_bot_loads_little(server: ControlServer, state: StateManager, arguments) -> None:
    async with server:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", LISTING, "status", "dev", *arguments),
            env=environment(state.folder),
            cwd=state.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await child.communicate()
        async with ControlClient(state.folder) as client:
            report = await client.status("dev")
    loaded = set(err.decode().split())
    assert child.returncode == 0, err
    assert b"dev" in out
    assert not HEAVY & loaded
    if not arguments:
        assert READING | {"rich"} <= loaded
    else:
        assert not (READING | DRAWING) & loaded
        assert json.loads(out) == json.loads(to_json(report)), "passed on as the bot wrote it"


def test_deployment_without_bot_loads_nothing_of_the_bot(tmp_path: Path) -> None:
    """It ends at the stack's files, which are missing; all that a deployment needs is loaded by then."""
    command = [sys.executable, "-c", LISTING, "deploy", "dev", "v1", "--json", "--yes"]
    named = environment(tmp_path) | {"DOCKER_HOST": f"unix://{tmp_path}/nowhere.sock"}
    done = subprocess.run(command, env=named, cwd=tmp_path, capture_output=True, text=True, check=False)
    loaded = set(done.stderr.split())
    assert "There is no such file" in done.stdout, done.stderr
    assert "yaml" in loaded
    assert not {"docker", "requests", "urllib3"} & loaded, "what a deployment asks of a local engine goes without"
    assert not (OF_THE_BOT | DRAWING) & loaded, "nothing is drawn where there is no terminal"
