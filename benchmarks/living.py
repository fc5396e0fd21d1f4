"""What a bot that runs already takes: from the click on a plan until its journal says that execution has ended."""

import asyncio
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.deploy import REPOSITORY
from testbed.engine import Engine
from testbed.inherited import inherited
from testbed.running_bot import RunningBot, Stack, running_bot

ENVIRONMENT = "dev"
IDLE_SECONDS = 20.0
CHARTS = 10
STATUS_RUNS, STATUS_SECONDS = 5, 60
MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Life:
    """Hold what was seen of one bot: seconds of deployments, of its start, processor share at rest, and MiB."""

    deployments: Sequence[float]
    start_seconds: float
    idle_percent: float = 0.0
    memory: Mapping[str, float] | None = None
    status_seconds: float = 0.0


def live(
    engine: Engine, folder: Path, services: Mapping[str, Any], *, deployments: int = 2, whole: bool = False
) -> Life:
    """Start a bot, deploy several times (all new, then nothing to change); `whole` measures memory and idling, too."""
    return asyncio.run(_live(engine, folder, services, deployments, whole))


async def _live(engine: Engine, folder: Path, services: Mapping[str, Any], deployments: int, whole: bool) -> Life:
    async with running_bot(engine, folder, Stack(services)) as bot:
        start_seconds = time.monotonic() - bot.started
        memory = {"ready": memory_of(bot)}
        taken = [await _deploy(bot) for _ in range(2)]
        if not whole:
            return Life(taken, start_seconds)
        idle = await idle_percent(bot)
        for number in range(CHARTS):
            await bot.ask("status", environment=ENVIRONMENT)
            if number == 0:
                memory["1 `/status`"] = memory_of(bot)
        memory[f"{CHARTS} `/status`"] = memory_of(bot)
        taken += [await _deploy(bot) for _ in range(deployments - 2)]
        memory[f"{deployments} deployments"] = memory_of(bot)
        status = [await asyncio.to_thread(_time_status, bot) for _ in range(STATUS_RUNS)]
        return Life(taken, start_seconds, idle, memory, statistics.median(status))


async def _deploy(bot: RunningBot) -> float:
    after = await bot.last_message()
    plan = await bot.plan(ENVIRONMENT, "v1")
    clicked = datetime.now().astimezone()
    outcome = await bot.confirm(plan, after=after)
    if "succeeded" not in outcome.text:
        raise RuntimeError(outcome.text)
    ended = await asyncio.to_thread(execution_ended, bot.state / "journal.sqlite3")
    return (ended - clicked).total_seconds()


def execution_ended(journal: Path) -> datetime:
    """Return when the last deployment's execution ended, as the journal has it."""
    connection = sqlite3.connect(f"file:{journal}?mode=ro", uri=True)
    try:
        (document,) = connection.execute(
            "SELECT phases.document FROM phases JOIN deployments ON deployments.id = deployment_id"
            " WHERE name = 'execution' ORDER BY deployments.rowid DESC LIMIT 1"
        ).fetchone()
    finally:
        connection.close()
    return datetime.fromisoformat(json.loads(document)["ended_at"])


def _time_status(bot: RunningBot) -> float:
    """Return what the command line takes to show how the environments are."""
    named = {"STACK_DIR": str(bot.state.parent / "stack"), "STATE_DIR": str(bot.state)}
    environment = inherited() | named | {"COMPOSE_PROJECT_NAME": bot.name, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "roas", "status", "--json"]
    started = time.monotonic()
    subprocess.run(command, env=environment, cwd=bot.state, capture_output=True, timeout=STATUS_SECONDS, check=True)
    return time.monotonic() - started


async def idle_percent(bot: RunningBot) -> float:
    """Return how much of a core it takes while nothing happens."""
    before, since = _processor_seconds(bot), time.monotonic()
    await asyncio.sleep(IDLE_SECONDS)
    return 100 * (_processor_seconds(bot) - before) / (time.monotonic() - since)


def _processor_seconds(bot: RunningBot) -> float:
    fields = Path(f"/proc/{bot.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_of(bot: RunningBot) -> float:
    """Return the resident memory in MiB."""
    pages = int(Path(f"/proc/{bot.process.pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MEBIBYTE
