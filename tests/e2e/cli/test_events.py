"""What happens in a bot is shown as it happens, by another process, with the cause that ties it together."""

import asyncio
import json
import sys
from pathlib import Path

from roas.models.state_change import ChangeType, StateChange
from roas.state.manager import StateManager
from testbed.inherited import chosen_programs

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 30.0


async def started(folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    environment = {**chosen_programs(), "PYTHONPATH": str(ROOT), "STATE_DIR": str(folder)}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "roas",
        "events",
        *arguments,
        env=environment,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


def a_change(text: str, cause: str = "COR-1", environment: str = "dev") -> StateChange:
    return StateChange(
        ChangeType.ALERT_TRIGGERED,
        "test",
        environment,
        "web",
        new=text,
        metadata={"event": "monitoring.alert.triggered"},
        correlation_id=cause,
    )


async def test_past_events_then_live_ones(tmp_path: Path) -> None:
    async with StateManager(tmp_path) as state:
        await state.record(a_change("before"))
        child = await started(tmp_path, "--follow")
        assert child.stdout is not None
        async with asyncio.timeout(SECONDS):
            first = (await child.stdout.readline()).decode()
            await state.record(a_change("web is\ndown"))
            second = (await child.stdout.readline()).decode()
        child.terminate()
        await child.wait()
    assert "before" in first
    assert "monitoring.alert.triggered  dev/web  web is down  COR-1" in second


async def test_correlation_filter_prints_json(tmp_path: Path) -> None:
    async with StateManager(tmp_path) as state:
        for cause in ("COR-1", "COR-2"):
            await state.record(a_change(f"of {cause}", cause))
    child = await started(tmp_path, "--json", "--correlation", "COR-2")
    out, _ = await child.communicate()
    (line,) = out.decode().splitlines()
    assert json.loads(line)["new"] == "of COR-2"


async def test_unknown_environment_refused(tmp_path: Path) -> None:
    child = await started(tmp_path, "nowhere")
    await child.communicate()
    assert child.returncode == 2
