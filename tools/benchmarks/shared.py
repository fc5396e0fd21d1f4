"""What it costs a bot to share its journal with other machines, beside the journal alone and beside PostgreSQL.

A commit writes one row of some 400 bytes: into SQLite, into SQLite and the Raft of three managers, and into PostgreSQL,
which waits for one synchronous standby. Managers and servers share one disk, so what counts is the ratio. A deployment
of four services is measured from the click to its outcome; objects are what the bot wrote to the Swarm for it.
"""

import asyncio
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import aiohttp

from roas.models.state_change import ChangeType, StateChange
from roas.stack.swarm.shared_store import SharedStore
from roas.state.manager import StateManager
from roas.state.shared.log import SharedLog
from roas.state.shared.objects import SealedObjects, Term
from roas.state.shared.sealing import Seal
from testbed.engine import Engine
from testbed.inherited import inherited
from testbed.ports import free_port
from testbed.running_bot import Stack, running_bot
from testbed.swarm import Swarm
from testbed.swarm_registry import healthy, swarm_registry
from testbed.swarm_view import StackView
from tools.benchmarks.swarm import NAME, SIZE, Ground
from tools.benchmarks.swarm import Result as SwarmResult

ALONE, SHARED, POSTGRES = "journal alone", "in the Swarm's Raft", "PostgreSQL with a synchronous standby"
COMMITS = 100
TEXT = "x" * 400
PROGRAMS = Path("/usr/lib/postgresql")
WRITES, SECONDS = "roas_swarm_state_writes_total", "roas_swarm_state_write_seconds_total"
LEASE_SECONDS = 600
PLAIN = {**inherited(), "LC_ALL": "C"}


class Result(SwarmResult):
    """Hold the figures of each side, beside those of the journal alone."""

    def as_table(self) -> str:
        """Return the medians as a Markdown table."""
        lines = ["| What | Side | Median | Beside the journal alone |", "|---|---|---|---|"]
        for (what, side), figures in self.taken.items():
            alone = self.taken.get((what, ALONE))
            ratio = f"{statistics.median(figures) / statistics.median(alone):.2f}" if alone else "–"
            lines.append(f"| {what} | {side} | {statistics.median(figures):.2f} | {ratio} |")
        return "\n".join(lines)


def measure(folder: Path, runs: int) -> Result:
    """Let the sides take turns."""
    result = Result()
    with (
        Swarm(folder / "swarm", managers=3) as swarm,
        swarm_registry(swarm, folder / "registry", healthy(["v1"]), name=NAME) as registry,
    ):
        ground = Ground(folder, swarm, registry)
        registry.write_login(folder / "docker")
        with postgres(folder / "postgres") as insert:
            for run in range(runs):
                result.add("a commit (ms)", ALONE, asyncio.run(_commits(folder / f"alone-{run}", None)))
                result.add("a commit (ms)", SHARED, asyncio.run(_commits(folder / f"shared-{run}", swarm.docker_host)))
                result.add("a commit (ms)", POSTGRES, insert(COMMITS))
        for run in range(runs):
            for side in (ALONE, SHARED):
                asyncio.run(_deploy(ground, result, side, folder / f"{side[:7].strip()}-bot-{run}"))
    return result


async def _commits(folder: Path, docker_host: str | None) -> float:
    """Return the median of the milliseconds of a commit."""
    shared = None
    if docker_host is not None:
        shared = SharedLog(SealedObjects(SharedStore(docker_host, folder.name), Seal(b"k" * 44)), folder)
    taken = []
    async with StateManager(folder, shared=shared) as state:
        if shared is not None:
            await state.take_over(Term(1, "node1", time.monotonic() + LEASE_SECONDS))
        for number in range(COMMITS):
            began = time.monotonic()
            await state.record(StateChange(ChangeType.AUDIT, "benchmark", "dev", str(number), new=TEXT))
            taken.append(1000 * (time.monotonic() - began))
    return statistics.median(taken)


async def _deploy(ground: Ground, result: Result, side: str, folder: Path) -> None:
    """Deploy four services from nothing, by a bot that has its journal alone, or in the Swarm."""
    await asyncio.to_thread(_write_key, folder)
    own = {"endpoint_mode": "dnsrr", "update_config": {"monitor": "1s"}}
    services = {f"service-{number}": {"image": f"{ground.image}:v1", "deploy": own} for number in range(SIZE)}
    settings = {
        "ENVIRONMENT_NAMES": "dev, staging",
        **{f"ENVIRONMENTS__{name}__ENGINE": "swarm" for name in ("DEV", "STAGING")},
        "DOCKER_CONFIG": str(ground.folder / "docker"),
    }
    if side == SHARED:
        settings["SWARM_STATE_KEY_FILE"] = str(folder / "key")
    async with running_bot(Engine(ground.swarm.docker_host), folder / "bot", Stack(services, settings)) as bot:
        after, plan = await bot.last_message(), await bot.plan("dev", "v1")
        (written, spent), began = await _written(bot.url), time.monotonic()
        outcome = await bot.confirm(plan, after=after)
        result.add("a deployment, from the click to its outcome (s)", side, time.monotonic() - began)
        if "succeeded" not in outcome.text:
            raise RuntimeError(outcome.text)
        if side == SHARED:
            now, taken = await _written(bot.url)
            result.add("objects written for a deployment", side, now - written)
            result.add("the Swarm's time for them (s)", side, taken - spent)
    await asyncio.to_thread(StackView(ground.swarm, f"{bot.name}-dev").remove)


def _write_key(folder: Path) -> None:
    folder.mkdir()
    (folder / "key").write_text("k" * 44)


async def _written(url: str) -> tuple[float, float]:
    """Return how many objects a bot has written to the Swarm, and the seconds that it waited for that."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as response:
        figures = dict(line.rsplit(" ", 1) for line in (await response.text()).splitlines() if line[:1] != "#")
    return float(figures.get(WRITES, 0)), float(figures.get(SECONDS, 0))


@contextmanager
def postgres(folder: Path) -> Iterator["partial[float]"]:
    """Run a PostgreSQL with one synchronous standby; yields what inserts rows and returns the milliseconds of one."""
    programs = max(PROGRAMS.glob("*/bin"), key=lambda path: int(path.parent.name))
    folder.mkdir()
    for place in (folder, folder.parent):
        place.chmod(0o711)  # it runs as a user of its own
    port, standby_port = free_port(), free_port()
    first, second = folder / "first", folder / "second"
    for place in (first, second):
        place.mkdir(mode=0o700)
        shutil.chown(place, "postgres", "postgres")

    def command(program: str, *arguments: str) -> list[str]:
        return [
            "setpriv",
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
            str(programs / program),
            *arguments,
        ]

    def run(program: str, *arguments: str, stdin: str = "") -> None:
        subprocess.run(
            command(program, *arguments), input=stdin, capture_output=True, text=True, check=True, cwd="/", env=PLAIN
        )

    def start(place: Path, at: int) -> None:
        options = f"-p {at} -k /tmp -c listen_addresses=127.0.0.1"
        subprocess.run(
            command("pg_ctl", "-D", str(place), "-o", options, "-l", str(place / "log"), "-w", "start"),
            check=True,
            cwd="/",
            env=PLAIN,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    run("initdb", "-D", str(first), "-A", "trust")
    start(first, port)
    ask = ["-h", "127.0.0.1", "-p", str(port), "-d", "postgres", "-q"]
    try:
        run("pg_basebackup", "-h", "127.0.0.1", "-p", str(port), "-D", str(second), "-R", "-X", "stream")
        start(second, standby_port)
        run("psql", *ask, stdin="ALTER SYSTEM SET synchronous_standby_names = '*'; SELECT pg_reload_conf();")
        run("psql", *ask, stdin="CREATE TABLE changes (id bigserial PRIMARY KEY, document text);")

        def insert(count: int) -> float:
            statement = f"INSERT INTO changes (document) VALUES ('{TEXT}');\n"  # noqa: S608 - a text of its own
            began = time.monotonic()
            run("psql", *ask, stdin="SELECT 1;")
            idle = time.monotonic() - began
            began = time.monotonic()
            run("psql", *ask, stdin=statement * count)
            return 1000 * (time.monotonic() - began - idle) / count

        yield partial(insert)
    finally:
        for place in (second, first):
            if (place / "postmaster.pid").exists():
                run("pg_ctl", "-D", str(place), "-m", "immediate", "stop")
