"""From the SIGKILL of a critical service's process to the alert in the channel, the recovery, and "resolved".

Every kill is the first of its service for that bot's journal: a few services a round, each round with a new bot. At the
same time a real Prometheus and a real Alertmanager, alone and with their default intervals unless set otherwise,
watch processes that are killed, too. Nobody recovers those; they are started again once their alert has arrived.
"""

import asyncio
import os
import signal
import statistics
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from roas.concurrency import end_tasks
from roas.metrics.integration_monitor import percentile
from sandbox.views import Message
from testbed.daemon import PrivateDaemon
from testbed.engine import Engine
from testbed.running_bot import RunningBot, Stack, running_bot
from testbed.sample import HEALTH_COMMAND, sample_image
from tools.benchmarks.prometheus_alone import GROUP_WAIT_SECONDS, INTERVAL_SECONDS, Peer, watch_alone

ENVIRONMENT = "dev"
IMAGE = "roas-benchmark/alerting"
SERVICES_A_ROUND = 10
PAUSE_SECONDS = 1.0
POSTED_SECONDS = 60.0
# Known to be well soon after a start, and seldom asked afterwards: what is measured is the bot, not the checks.
CHECK = {
    "test": ["CMD-SHELL", HEALTH_COMMAND],
    "interval": "30s",
    "start_period": "30s",
    "start_interval": "100ms",
}


@dataclass(frozen=True)
class Kill:
    """Hold the seconds from a kill to its consequences."""

    notified: float
    recovered: float
    resolved: float


@dataclass
class Result:
    """Hold every kill of both sides."""

    kills: list[Kill] = field(default_factory=list)
    peer: Peer = field(default_factory=Peer)

    def as_dict(self) -> Mapping[str, object]:
        """Return every figure."""
        return asdict(self)

    def as_table(self) -> str:
        """Return the figures as a Markdown table."""
        bound = 2 * INTERVAL_SECONDS + GROUP_WAIT_SECONDS
        computed = (
            f"Computed for the peer, not measured: {GROUP_WAIT_SECONDS:g} to {bound:g} s until the alert (scrape and "
            f"evaluation every {INTERVAL_SECONDS:g} s, group_wait {GROUP_WAIT_SECONDS:g} s)."
        )
        rows = [
            _row("bot: alert in the channel", [kill.notified for kill in self.kills]),
            _row("bot: service healthy again", [kill.recovered for kill in self.kills]),
            _row('bot: "resolved" in the channel', [kill.resolved for kill in self.kills]),
            _row("Prometheus + Alertmanager: alert at a webhook", self.peer.notified),
            _row('Prometheus + Alertmanager: "resolved" after the process is back', self.peer.resolved),
        ]
        return "\n".join(
            [
                "| from SIGKILL to | times | min (s) | p50 (s) | p99 (s) | max (s) |",
                "|---|---|---|---|---|---|",
                *rows,
                "",
                computed,
            ]
        )


def _row(name: str, taken: Sequence[float]) -> str:
    if not taken:
        return f"| {name} | 0 | | | | |"
    figures = (min(taken), statistics.median(taken), percentile(taken, 0.99) or 0.0, max(taken))
    return f"| {name} | {len(taken)} | {' | '.join(f'{figure:.2f}' for figure in figures)} |"


def measure(folder: Path, runs: int) -> Result:
    """Kill `runs` services of bots, and meanwhile processes that only Prometheus watches."""
    with PrivateDaemon(folder / "engine") as daemon:
        return asyncio.run(_measure(Engine(daemon.docker_host, daemon), folder, runs))


async def _measure(engine: Engine, folder: Path, runs: int) -> Result:
    with closing(engine.client()) as client:
        sample_image(client, f"{IMAGE}:v1")
    watching = asyncio.create_task(watch_alone(folder / "alone"))
    kills: list[Kill] = []
    try:
        while len(kills) < runs:
            wanted = min(SERVICES_A_ROUND, runs - len(kills))
            kills += await _round(engine, folder / f"round-{len(kills)}", wanted)
        return Result(kills, await watching)
    finally:
        await end_tasks(watching)


async def _round(engine: Engine, folder: Path, count: int) -> list[Kill]:
    """Deploy a stack by a new bot, and kill each of its services once."""
    names = [f"service-{number:02}" for number in range(SERVICES_A_ROUND)]
    service: dict[str, Any] = {"image": f"{IMAGE}:v1", "init": True, "healthcheck": CHECK}
    settings = {"CRITICAL_SERVICES": ",".join(names)}
    async with running_bot(engine, folder, Stack(dict.fromkeys(names, service), settings)) as bot:
        notified = await bot.deploy(ENVIRONMENT, "v1")
        if "succeeded" not in notified.text:
            raise RuntimeError(notified.text)
        kills = []
        with healthy_moments(bot) as moments:
            for name in names[:count]:
                await asyncio.sleep(PAUSE_SECONDS)
                kills.append(await _kill(bot, name, moments))
        return kills


async def _kill(bot: RunningBot, service: str, moments: "HealthyMoments") -> Kill:
    after = await bot.last_message()
    container = (await asyncio.to_thread(bot.containers, ENVIRONMENT))[service]

    def is_notified(message: Message) -> bool:
        return f"{service} is down" in message.text

    def is_over(message: Message) -> bool:
        return is_notified(message) and "resolved" in message.text

    began, began_at = time.monotonic(), time.time_ns()
    os.kill(int(container.attrs["State"]["Pid"]), signal.SIGKILL)
    message = await bot.people.wait_for_message(is_notified, deadline_seconds=POSTED_SECONDS, after=after)
    notified = time.monotonic() - began
    if "🔴" not in message.text and "✅" not in message.text:
        raise RuntimeError(f"it is not a critical alert: {message.text}")
    await bot.people.wait_for_message(is_over, deadline_seconds=POSTED_SECONDS, after=after)
    resolved = time.monotonic() - began
    recovered = await asyncio.to_thread(moments.after, str(container.id), began_at)
    return Kill(notified, (recovered - began_at) / 1e9, resolved)


class HealthyMoments:
    """Remember when the engine said that a container is healthy, by its own clock (nanoseconds)."""

    def __init__(self) -> None:
        self._seen: list[tuple[str, int]] = []
        self._news = threading.Condition()

    def add(self, container_id: str, moment: int) -> None:
        """Record an event of the engine."""
        with self._news:
            self._seen.append((container_id, moment))
            self._news.notify_all()

    def after(self, container_id: str, moment: int) -> int:
        """Return the first time after a moment at which a container was healthy. Raises TimeoutError."""

        def first() -> int | None:
            return next((at for name, at in self._seen if name == container_id and at > moment), None)

        with self._news:
            if not self._news.wait_for(lambda: first() is not None, POSTED_SECONDS):
                raise TimeoutError("the service is not healthy again")
            return first() or 0


@contextmanager
def healthy_moments(bot: RunningBot) -> Iterator[HealthyMoments]:
    """Listen to the engine in a thread."""
    moments = HealthyMoments()
    events = bot.client.events(decode=True, filters={"event": "health_status"})

    def listen() -> None:
        for event in events:
            if str(event.get("status", "")).endswith(": healthy"):
                moments.add(str(event["id"]), int(event["timeNano"]))

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield moments
    finally:
        events.close()
        thread.join(5)
