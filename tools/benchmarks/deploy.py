"""Time from the command to all healthy: `roas deploy` beside `docker compose up -d --wait`.

Both start the same four-service chain from nothing, alternately. The bot's observation window is not counted: its time
runs until the journal says that execution has ended.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from testbed.engine import Engine
from testbed.running_bot import clear
from testbed.sample import HEALTH_COMMAND, sample_image

CHAIN = ("store", "queue", "api", "web")
IMAGE, PROJECT = "roas-benchmark/app:v1", "roas-benchmark"
DEADLINE_SECONDS = 300
REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Result:
    """Hold the seconds of every run of both sides."""

    bot_seconds: Sequence[float]
    compose_seconds: Sequence[float]

    @property
    def ratio(self) -> float:
        """Return the bot's median over Compose's median."""
        return statistics.median(self.bot_seconds) / statistics.median(self.compose_seconds)

    def as_dict(self) -> Mapping[str, object]:
        """Return every figure."""
        return asdict(self) | {"ratio_of_medians": self.ratio}

    def as_table(self) -> str:
        """Return the figures as a Markdown table."""
        rows = [("roas deploy", self.bot_seconds), ("docker compose up -d --wait", self.compose_seconds)]
        lines = ["| command | runs | min (s) | median (s) | max (s) |", "|---|---|---|---|---|"]
        lines += [
            f"| `{name}` | {len(taken)} | {min(taken):.2f} | {statistics.median(taken):.2f} | {max(taken):.2f} |"
            for name, taken in rows
        ]
        return "\n".join([*lines, "", f"Ratio of the medians: {self.ratio:.2f}"])


def measure(engine: Engine, folder: Path, runs: int) -> Result:
    """Run both sides alternately, each from an empty environment."""
    stack = _write_stack(folder / "stack")
    with closing(engine.client()) as client:
        sample_image(client, IMAGE)
    _time_bot(engine, stack, folder / "warm-up")  # the first run of an installation compiles its modules
    bot, compose = [], []
    for number in range(runs):
        compose.append(_time_compose(engine, stack))
        bot.append(_time_bot(engine, stack, folder / f"state-{number}"))
    return Result(bot, compose)


def _write_stack(folder: Path) -> Path:
    """Write a chain of services, each of which waits for the one before to be healthy."""
    folder.mkdir(parents=True)
    (folder / "docker-compose.yml").write_text(json.dumps({"services": chain()}))
    return folder


def chain() -> dict[str, Mapping[str, object]]:
    """Return the services of the chain."""
    return {name: _service(CHAIN[index - 1] if index else None) for index, name in enumerate(CHAIN)}


def _service(needs: str | None) -> Mapping[str, object]:
    check = {
        "test": ["CMD-SHELL", HEALTH_COMMAND],
        "interval": "5s",
        "start_period": "30s",
        "start_interval": "100ms",
    }
    depends_on = {"depends_on": {needs: {"condition": "service_healthy"}}} if needs else {}
    return {"image": IMAGE, "init": True, "healthcheck": check, **depends_on}


def _time_compose(engine: Engine, stack: Path) -> float:
    return time_compose(engine, stack, 1)[0]


def time_compose(engine: Engine, stack: Path, times: int) -> list[float]:
    """Return the seconds of `up -d --wait` from nothing, then of `up -d` with nothing to change."""
    project = ["docker-compose", "-p", "roas-benchmark-compose"]
    environment = os.environ | {"DOCKER_HOST": engine.docker_host}
    taken = []
    try:
        for number in range(times):
            started = time.monotonic()
            _run([*project, "up", "-d", *(() if number else ("--wait",))], stack, environment)
            taken.append(time.monotonic() - started)
    finally:
        _run([*project, "down", "-t", "1"], stack, environment)
    return taken


def _time_bot(engine: Engine, stack: Path, state: Path) -> float:
    return time_bot(engine, stack, state, 1)[0]


def time_bot(engine: Engine, stack: Path, state: Path, times: int) -> list[float]:
    """Return the seconds from the start of the process to the end of execution, the first time from nothing."""
    # Installed software has its modules compiled, whatever this machine's settings for development are.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = inherited | {
        "DOCKER_HOST": engine.docker_host,
        "STACK_DIR": str(stack),
        "STATE_DIR": str(state),
        "COMPOSE_PROJECT_NAME": PROJECT,
        "ENVIRONMENTS__DEV__OBSERVATION_SECONDS": "0.5",
        "PYTHONPATH": str(REPOSITORY),
    }
    command = [sys.executable, "-m", "roas", "deploy", "dev", "v1", "--json", "--yes", "--reason", "benchmark"]
    taken = []
    try:
        for _ in range(times):
            started = datetime.now().astimezone()
            output = _run(command, stack, environment)
            phases = {phase["name"]: phase for phase in json.loads(output)["phases"]}
            taken.append((datetime.fromisoformat(phases["execution"]["ended_at"]) - started).total_seconds())
    finally:
        with closing(engine.client()) as client:
            clear(client, PROJECT)  # what is left of a release forbids the next turn to begin a journal
    return taken


def _run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout
