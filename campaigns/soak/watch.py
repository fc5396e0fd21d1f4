"""Look at a bot every few seconds while it works, and gather what was seen."""

import asyncio
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from campaigns.soak.figures import Footprint, Held, Metrics, memory_of, open_files_of, threads_of
from testbed.redis_server import RedisServer
from testbed.running_bot import RunningBot

LOOK_EVERY_SECONDS = 10.0
FOOTPRINT_EVERY_MINUTES = 5.0
KIBIBYTE = 1024
IDS = "local r={} for _,e in ipairs(redis.call('XRANGE',KEYS[1],'-','+')) do r[#r+1]=e[1] end return r"


@dataclass
class Watcher:
    """Read the bot's metrics and its process until it is asked to stop."""

    bot: RunningBot
    memory: list[Held] = field(default_factory=list)
    footprints: list[Footprint] = field(default_factory=list)
    most_series: int = 0
    alerts_about_itself: dict[str, float] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)

    async def run(self) -> None:
        """Poll until cancelled."""
        async with aiohttp.ClientSession() as session:
            while True:
                await self._look(session)
                await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def metrics(self) -> Metrics:
        """Read the metrics now."""
        async with aiohttp.ClientSession() as session:
            return await self._read(session)

    async def take_footprint(self) -> None:
        """Record the bot's resource usage now."""
        self.footprints.append(await asyncio.to_thread(footprint, self.bot, self._minute))

    @property
    def _minute(self) -> float:
        return (time.monotonic() - self._began) / 60

    async def _look(self, session: aiohttp.ClientSession) -> None:
        seen = await self._read(session)
        self.most_series = max(self.most_series, seen.series)
        done = seen.total("roas_deployments_total")
        self.memory.append(Held(self._minute, memory_of(self.bot.process.pid), done))
        for (name, labels), value in seen.samples.items():
            if name == "roas_integration_alert_firing" and value:
                alert = dict(labels)["alert"]
                self.alerts_about_itself[alert] = self.alerts_about_itself.get(alert, 0) + LOOK_EVERY_SECONDS
        last = self.footprints[-1].minute if self.footprints else float("-inf")
        if self._minute - last >= FOOTPRINT_EVERY_MINUTES:
            await self.take_footprint()

    async def _read(self, session: aiohttp.ClientSession) -> Metrics:
        async with session.get(f"{self.bot.url}/metrics") as answer:
            return Metrics.parse(await answer.text())


def footprint(bot: RunningBot, minute: float) -> Footprint:
    """Measure a bot: its process, its state folder, its resources on the engine."""
    files = [path for path in bot.state.rglob("*") if path.is_file()]
    journal = sum(path.stat().st_size for path in files if path.name.startswith("journal.sqlite3"))
    own = [one for one in bot.client.containers.list(all=True, sparse=True) if bot.name in one.attrs["Names"][0]]
    return Footprint(
        minute=minute,
        memory=memory_of(bot.process.pid),
        files=open_files_of(bot.process.pid),
        threads=threads_of(bot.process.pid),
        journal=journal / KIBIBYTE,
        state_files=len(files),
        rows=rows_of(bot.state),
        containers=len(own),
        images=len(bot.client.images.list(all=True)),
    )


def rows_of(state: Path) -> dict[str, int]:
    """Count the rows of every table of the journal."""
    with closing(_journal(state)) as journal:
        names = journal.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        tables = [str(row[0]) for row in names]
        return {name: int(journal.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]) for name in tables}  # noqa: S608


def missing_in_redis(bot: RunningBot, redis: RedisServer) -> int:
    """Count the changes, of the last that Redis keeps, that it has not in the same order."""
    kept = redis.command("--raw", "EVAL", IDS, "1", f"roas:{bot.name}:events").split()
    with closing(_journal(bot.state)) as journal:
        numbers = [f"{row[0]}-0" for row in journal.execute("SELECT sequence FROM changes ORDER BY sequence")]
    wanted = numbers[-len(kept) :] if kept else numbers
    return sum(one != other for one, other in zip(wanted, kept, strict=False)) + abs(len(wanted) - len(kept))


def _journal(state: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{state / 'journal.sqlite3'}?mode=ro", uri=True, timeout=10)
