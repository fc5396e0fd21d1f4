"""How long `/status` takes for a stack of many containers, beside what `docker compose ps` and `docker stats` take.

The bot watches the stack already, as it would in life. Its time is what a person waits: from the command to the whole
answer, every row of which is compared with what the engine itself says.
"""

import asyncio
import json
import os
import re
import statistics
import subprocess
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from sandbox.views import Message
from testbed.daemon import PrivateDaemon
from testbed.engine import Engine
from testbed.running_bot import RunningBot, Stack, running_bot
from testbed.sample import sample_image

CONTAINERS = 100
ENVIRONMENT = "dev"
IMAGE = "roas-benchmark/many"
PAUSE_SECONDS = 1.0
COMMAND_SECONDS = 120


@dataclass(frozen=True)
class Result:
    """Hold the seconds of every run of both sides."""

    containers: int
    status_seconds: Sequence[float]
    ps_seconds: Sequence[float]
    stats_seconds: Sequence[float]

    @property
    def ratio(self) -> float:
        """Return the bot's median over that of both commands together."""
        both = [ps + stats for ps, stats in zip(self.ps_seconds, self.stats_seconds, strict=True)]
        return statistics.median(self.status_seconds) / statistics.median(both)

    def as_dict(self) -> Mapping[str, object]:
        """Return every figure."""
        return asdict(self) | {"ratio_of_medians": self.ratio}

    def as_table(self) -> str:
        """Return the figures as a Markdown table."""
        sides = (
            ("/status, from the command to the whole answer", self.status_seconds),
            ("docker compose ps --all", self.ps_seconds),
            ("docker stats --no-stream", self.stats_seconds),
        )
        lines = ["| what | runs | min (s) | median (s) | max (s) |", "|---|---|---|---|---|"]
        lines += [
            f"| `{name}` | {len(taken)} | {min(taken):.2f} | {statistics.median(taken):.2f} | {max(taken):.2f} |"
            for name, taken in sides
        ]
        return "\n".join([*lines, "", f"{self.containers} containers. Ratio of the medians: {self.ratio:.2f}"])


def measure(folder: Path, runs: int) -> Result:
    """Deploy the stack once, then query both sides alternately."""
    with PrivateDaemon(folder / "engine") as daemon:
        return asyncio.run(_measure(Engine(daemon.docker_host, daemon), folder, runs))


async def _measure(engine: Engine, folder: Path, runs: int) -> Result:
    with closing(engine.client()) as client:
        sample_image(client, f"{IMAGE}:v1")
    service = {"image": f"{IMAGE}:v1", "init": True, "network_mode": "none"}
    services = {f"worker-{number:03}": service for number in range(CONTAINERS)}
    async with running_bot(engine, folder / "bot", Stack(services)) as bot:
        notified = await bot.deploy(ENVIRONMENT, "v1")
        if "succeeded" not in notified.text:
            raise RuntimeError(notified.text)
        bot.people.burst_seconds = 0
        await bot.ask("status", environment=ENVIRONMENT)
        status, ps, stats = [], [], []
        for _ in range(runs):
            await asyncio.sleep(PAUSE_SECONDS)
            seconds, message = await _time_status(bot)
            status.append(seconds)
            await asyncio.to_thread(_compare, bot, message)
            project = ["docker-compose", "-p", f"{bot.name}-{ENVIRONMENT}", "ps", "--all"]
            ps.append(await asyncio.to_thread(_time, project, engine))
            stats.append(await asyncio.to_thread(_time, ["docker", "stats", "--no-stream"], engine))
    return Result(CONTAINERS, status, ps, stats)


async def _time_status(bot: RunningBot) -> tuple[float, Message]:
    started = time.monotonic()
    message = await bot.ask("status", environment=ENVIRONMENT)
    return time.monotonic() - started, message


def _time(command: Sequence[str], engine: Engine) -> float:
    environment = os.environ | {"DOCKER_HOST": engine.docker_host}
    started = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, timeout=COMMAND_SECONDS, check=True)
    seconds = time.monotonic() - started
    if len(done.stdout.splitlines()) <= CONTAINERS:
        raise RuntimeError(f"{' '.join(command)} does not show all {CONTAINERS} containers")
    return seconds


def _compare(bot: RunningBot, message: Message) -> None:
    """Compare the file that comes along with the engine. Raises RuntimeError."""
    (file,) = [attachment for attachment in message.attachments if attachment["filename"] == "services.txt"]
    with urllib.request.urlopen(file["url"]) as response:  # noqa: S310 - the sandbox on loopback
        rows = [re.split(r"  +", row) for row in response.read().decode().splitlines()[2:]]
    shown = {row[0]: (row[1], row[2], row[6]) for row in rows}
    containers = bot.containers(ENVIRONMENT)
    wanted = {
        name: (
            "unverified" if container.status == "running" else "unhealthy",
            "many:v1",
            str(container.attrs["RestartCount"]),
        )
        for name, container in containers.items()
    }
    if shown != wanted or len(shown) != CONTAINERS:
        wrong = {name: (shown.get(name), wanted[name]) for name in wanted if shown.get(name) != wanted[name]}
        raise RuntimeError(f"the status is wrong: {json.dumps(wrong)[:2000]}")
    if not any(attachment["content_type"] == "image/png" for attachment in message.attachments):
        raise RuntimeError("the status has no chart")
