"""Prometheus and Alertmanager with the intervals that they have by default, and processes that are killed."""

import asyncio
import random
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web

from testbed.ports import free_port
from testbed.prometheus_server import Server

PROCESSES = 8
# Prometheus' and Alertmanager's own defaults; the files below do not set them.
INTERVAL_SECONDS = 60.0
GROUP_WAIT_SECONDS = 30.0
UP_SECONDS = 120.0
NOTIFIED_SECONDS = 300.0
RESOLVED_SECONDS = 600.0
LOOK_SECONDS = 0.5


@dataclass
class Peer:
    """Hold the seconds from each kill to the alert, and from each new start to its end."""

    notified: list[float] = field(default_factory=list)
    resolved: list[float] = field(default_factory=list)


class DefaultPrometheus(Server):
    """Scrape some targets and judge one rule."""

    def __init__(self, folder: Path, targets: list[str], alertmanager: str) -> None:
        super().__init__(folder)
        rule = {"alert": "Down", "expr": "up == 0", "labels": {"severity": "critical"}}
        (folder / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "down", "rules": [rule]}]}))
        configuration = {
            "rule_files": ["rules.yml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
            "scrape_configs": [{"job_name": "processes", "static_configs": [{"targets": targets}]}],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))

    def command(self) -> list[str]:
        """Return what starts it."""
        listen = f"--web.listen-address=127.0.0.1:{self.port}"
        return ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", listen]


class DefaultAlertmanager(Server):
    """Send each process's alert by itself, as for the bot."""

    def __init__(self, folder: Path, receiver: str) -> None:
        super().__init__(folder)
        configuration = {
            "route": {"receiver": "measured", "group_by": ["instance"]},
            "receivers": [{"name": "measured", "webhook_configs": [{"url": receiver}]}],
        }
        (folder / "alertmanager.yml").write_text(yaml.safe_dump(configuration))

    def command(self) -> list[str]:
        """Return what starts it."""
        listen = f"--web.listen-address=127.0.0.1:{self.port}"
        storage = ["--storage.path=data", "--cluster.listen-address="]
        return ["prometheus-alertmanager", "--config.file=alertmanager.yml", listen, *storage]


class Arrivals:
    """Receive what Alertmanager sends, with the time of each delivery (monotonic)."""

    def __init__(self) -> None:
        self._came: dict[tuple[str, str], asyncio.Future[float]] = {}

    def of(self, instance: str, status: str) -> "asyncio.Future[float]":
        """Return what will have the moment."""
        return self._came.setdefault((instance, status), asyncio.get_running_loop().create_future())

    async def take(self, request: web.Request) -> web.Response:
        """Receive a delivery."""
        now = time.monotonic()
        for alert in (await request.json())["alerts"]:
            came = self.of(alert["labels"]["instance"], alert["status"])
            if not came.done():
                came.set_result(now)
        return web.Response()


class Victim:
    """Run a small web server that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "metrics").write_text("a_metric 1\n")
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Return where Prometheus finds it."""
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it."""
        serve = [sys.executable, "-m", "http.server", str(self._port), "--bind", "127.0.0.1"]
        serve += ["--directory", str(self._folder)]
        self._process = subprocess.Popen(serve, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        """Kill it as an accident would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


async def watch_alone(folder: Path) -> Peer:
    """Kill every process once, at some moment of a scrape's interval, and time the alert and its end."""
    victims = [Victim(folder / "served") for _ in range(PROCESSES)]
    arrivals = Arrivals()
    try:
        for victim in victims:
            victim.start()
        async with _receiver(arrivals) as receiver:
            alertmanager = DefaultAlertmanager(folder / "alertmanager", receiver)
            prometheus = DefaultPrometheus(
                folder / "prometheus", [victim.address for victim in victims], f"127.0.0.1:{alertmanager.port}"
            )
            with alertmanager, prometheus:
                await _all_up(prometheus)
                figures = await asyncio.gather(*(_time(victim, arrivals) for victim in victims))
        return Peer([notified for notified, _ in figures], [resolved for _, resolved in figures])
    finally:
        for victim in victims:
            victim.kill()


async def _time(victim: Victim, arrivals: Arrivals) -> tuple[float, float]:
    await asyncio.sleep(random.uniform(0, INTERVAL_SECONDS))  # noqa: S311
    killed = time.monotonic()
    victim.kill()
    async with asyncio.timeout(NOTIFIED_SECONDS):
        notified = await arrivals.of(victim.address, "firing") - killed
    started = time.monotonic()
    victim.start()
    async with asyncio.timeout(RESOLVED_SECONDS):
        return notified, await arrivals.of(victim.address, "resolved") - started


@asynccontextmanager
async def _receiver(arrivals: Arrivals) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_post("/", arrivals.take)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    try:
        await web.SockSite(runner, listening).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        await runner.cleanup()


async def _all_up(prometheus: Server) -> None:
    """Wait until every process was scraped once."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(UP_SECONDS):
        while True:
            async with session.get(f"{prometheus.url}/api/v1/query", params={"query": "sum(up)"}) as answer:
                found = (await answer.json())["data"]["result"]
            if found and float(found[0]["value"][1]) == PROCESSES:
                return
            await asyncio.sleep(LOOK_SECONDS)
