"""What a bot that runs already takes: from the click on a plan until its journal says that execution has ended."""

import asyncio
import json
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from testbed.engine import Engine
from testbed.inherited import inherited
from testbed.running_bot import RunningBot, Stack, running_bot
from testbed.waiting import wait_until
from tools.benchmarks.deploy import REPOSITORY
from tools.benchmarks.processes import bare_bot, core_shares, memory_of, time_python

ENVIRONMENT = "dev"
IDLE_SECONDS = 60.0
REST_SECONDS = 60.0
CHARTS = 10
STATUS_RUNS, STATUS_SECONDS = 5, 60


@dataclass(frozen=True, slots=True)
class Life:
    """Hold what was seen of one bot: seconds of deployments, of its start, processor share at rest, and MiB.

    `limits` has the same of the libraries alone, and of Python alone for `status`.
    """

    deployments: Sequence[float]
    start_seconds: float
    idle_percent: float = 0.0
    memory: Mapping[str, float] = field(default_factory=dict)
    status_seconds: float = 0.0
    limits: Mapping[str, float] = field(default_factory=dict)


def live(
    engine: Engine, folder: Path, services: Mapping[str, Any], *, deployments: int = 2, whole: bool = False
) -> Life:
    """Start a bot, deploy several times (all new, then nothing to change); `whole` measures memory and idling, too."""
    return asyncio.run(_live(engine, folder, services, deployments, whole))


async def _live(engine: Engine, folder: Path, services: Mapping[str, Any], deployments: int, whole: bool) -> Life:
    async with running_bot(engine, folder, Stack(services)) as bot:
        start_seconds = time.monotonic() - bot.started
        memory = {"ready": memory_of(bot.process.pid)}
        taken = [await _deploy(bot) for _ in range(2)]
        if not whole:
            return Life(taken, start_seconds)
        await asyncio.to_thread(_wait_until_at_rest, bot)
        async with bare_bot(folder / "bare.log") as bare:
            limits = {"memory": memory_of(bare.pid)}
            idle, limits["idle"] = await core_shares(bot.process.pid, bare.pid, seconds=IDLE_SECONDS)
        for number in range(CHARTS):
            await bot.ask("status", environment=ENVIRONMENT)
            if number == 0:
                memory["1 `/status`"] = memory_of(bot.process.pid)
        memory[f"{CHARTS} `/status`"] = memory_of(bot.process.pid)
        taken += [await _deploy(bot) for _ in range(deployments - 2)]
        memory[f"{deployments} deployments"] = memory_of(bot.process.pid)
        status, limits["status"] = await asyncio.to_thread(_time_status, bot)
        return Life(taken, start_seconds, idle, memory, status, limits)


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
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as connection:
        (document,) = connection.execute(
            "SELECT phases.document FROM phases JOIN deployments ON deployments.id = deployment_id"
            " WHERE name = 'execution' ORDER BY deployments.rowid DESC LIMIT 1"
        ).fetchone()
    return datetime.fromisoformat(json.loads(document)["ended_at"])


def _wait_until_at_rest(bot: RunningBot) -> None:
    """Wait until nothing of the last deployment is left to do. Raises RuntimeError where that takes too long."""
    if not wait_until(lambda: is_at_rest(bot.state / "journal.sqlite3"), REST_SECONDS):
        raise RuntimeError(f"the bot has not come to rest within {REST_SECONDS:g} s")


def is_at_rest(journal: Path) -> bool:
    """Return whether the last deployment is over for all who follow it, and its messages are as they stay."""
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as connection:
        (last,) = connection.execute("SELECT id FROM deployments ORDER BY rowid DESC LIMIT 1").fetchone()
        told = connection.execute(
            "SELECT 1 FROM changes WHERE subject = ?"
            " AND json_extract(document, '$.metadata.event') = 'deployment.orchestration.completed'",
            (last,),
        ).fetchone()
        posts = connection.execute("SELECT document FROM posts WHERE subject = ?", (last,)).fetchall()
    return told is not None and bool(posts) and all(json.loads(post[0])["finished"] for post in posts)


def _time_status(bot: RunningBot) -> tuple[float, float]:
    """Return what the command line takes to show how the environments are, and Python to do nothing, in turns."""
    named = {"STACK_DIR": str(bot.state.parent / "stack"), "STATE_DIR": str(bot.state)}
    environment = inherited() | named | {"COMPOSE_PROJECT_NAME": bot.name, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "roas", "status", "--json"]
    taken, limits = [], []
    for _ in range(STATUS_RUNS):
        limits.append(time_python())
        started = time.monotonic()
        subprocess.run(command, env=environment, cwd=bot.state, capture_output=True, timeout=STATUS_SECONDS, check=True)
        taken.append(time.monotonic() - started)
    return statistics.median(taken), statistics.median(limits)
