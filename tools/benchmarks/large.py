"""How what people wait for grows with the stack: time per service from 50 to 300 services, then what 300 cost a bot.

The services are independent, have no network, and a health check every 100 ms until they are healthy, then one a
minute. The largest stack is watched by a bot that has twenty environments. Both sides begin on a machine at rest, and
what is asked of the bot is asked when its containers have settled.
"""

import asyncio
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from testbed.engine import Engine
from testbed.running_bot import RunningBot, Stack, running_bot
from testbed.sample import sample_image
from tools.benchmarks.deploy import IMAGE, time_bot, time_compose
from tools.benchmarks.living import ENVIRONMENT, IDLE_SECONDS, execution_ended
from tools.benchmarks.processes import core_shares, memory_of
from tools.benchmarks.services import independent, write_stack
from tools.benchmarks.settling import wait_until_settled

SIZES = (50, 100, 200, 300)
ENVIRONMENTS = (ENVIRONMENT, "staging", *(f"env-{number:02}" for number in range(3, 21)))
# Up to this size each side has several turns; larger stacks take minutes.
MOST_IN_TURNS = 100
SETTLED_SECONDS = 20.0
# Three hundred that are probed every five seconds would take more than two cores by themselves.
INTERVAL = "60s"
KEYSTROKES = 100
# Slower than what is suggested is kept, so that each way of finding it takes part.
KEYSTROKE_SECONDS = 0.25
PERCENTILE = 99


@dataclass(frozen=True, slots=True)
class Size:
    """Hold what a stack of one size took: all new, by the bot and by Compose; a plan; a status; each in seconds."""

    services: int
    bot: float
    peer: float
    plan: float
    status: float


@dataclass(frozen=True)
class Result:
    """Hold the figures of each size, and of the bot at rest with the largest."""

    sizes: Sequence[Size]
    keystrokes: Sequence[float]
    idle_percent: float
    memory: float

    def as_dict(self) -> Mapping[str, object]:
        """Return every figure."""
        return asdict(self)

    def as_table(self) -> str:
        """Return two Markdown tables: by size, and of the largest."""
        head = "| Services | All new (s) | each (s) | Compose (s) | each (s) | Ratio | A plan (s) | `/status` (s) |"
        lines = [head, "|---|---|---|---|---|---|---|---|"]
        for size in self.sizes:
            each = (size.bot / size.services, size.peer / size.services)
            lines.append(
                f"| {size.services} | {size.bot:.2f} | {each[0]:.3f} | {size.peer:.2f} | {each[1]:.3f} |"
                f" {size.bot / size.peer:.2f} | {size.plan:.2f} | {size.status:.2f} |"
            )
        lines += ["", "| With the largest | |", "|---|---|"]
        if self.keystrokes:
            slowest = statistics.quantiles(self.keystrokes, n=100, method="inclusive")[PERCENTILE - 1]
            median = statistics.median(self.keystrokes)
            lines.append(f"| a keystroke until its suggestions, median and p99 | {median:.2f} s, {slowest:.2f} s |")
        lines.append(f"| at rest, {len(ENVIRONMENTS)} environments | {self.idle_percent:.2f} % of a core |")
        lines.append(f"| memory | {self.memory:.0f} MiB |")
        return "\n".join(lines)


def measure(engine: Engine, folder: Path, runs: int, sizes: Sequence[int] = SIZES) -> Result:
    """Measure each size by both sides, in turns; the figures are medians of so many `runs`."""
    with closing(engine.client()) as client:
        sample_image(client, IMAGE)
    # The first run of an installation compiles its modules.
    time_bot(engine, write_stack(folder / "warm-up-stack", independent(1)), folder / "warm-up", 1)
    measured, rest = [], None
    for size in sizes:
        stack = write_stack(folder / f"stack-{size}", independent(size, INTERVAL))
        turns = runs if size <= MOST_IN_TURNS else 1
        taken = []
        for number in range(turns):
            wait_until_settled()
            peer = time_compose(engine, stack, 1)[0]
            wait_until_settled()
            whole = size == sizes[-1] and number == turns - 1
            one, rest = asyncio.run(_by_bot(engine, folder / f"bot-{size}-{number}", size, peer, runs, whole=whole))
            taken.append(one)
        measured.append(_median(taken))
    assert rest is not None
    return Result(measured, *rest)


def _median(taken: Sequence[Size]) -> Size:
    figures = (statistics.median(getattr(size, name) for size in taken) for name in ("bot", "peer", "plan", "status"))
    return Size(taken[0].services, *figures)


async def _by_bot(
    engine: Engine, folder: Path, size: int, peer: float, runs: int, *, whole: bool
) -> tuple[Size, tuple[list[float], float, float]]:
    settings = {"ENVIRONMENT_NAMES": ",".join(ENVIRONMENTS)} if whole else {}
    async with running_bot(engine, folder, Stack(independent(size, INTERVAL), settings)) as bot:
        after = await bot.last_message()
        plan = await bot.plan(ENVIRONMENT, "v1")
        await asyncio.to_thread(wait_until_settled)
        clicked = datetime.now().astimezone()
        outcome = await bot.confirm(plan, after=after)
        if "succeeded" not in outcome.text:
            raise RuntimeError(outcome.text)
        taken = (await asyncio.to_thread(execution_ended, bot.state / "journal.sqlite3") - clicked).total_seconds()
        await asyncio.to_thread(wait_until_settled)
        bot.people.burst_seconds = 0
        await bot.ask("status", environment=ENVIRONMENT)
        plans = [await _time(bot, "deploy", version="v1", dry_run=True) for _ in range(runs)]
        status = [await _time(bot, "status") for _ in range(runs)]
        found = Size(size, taken, peer, statistics.median(plans), statistics.median(status))
        if not whole:
            return found, ([], 0.0, 0.0)
        keystrokes = await _type(bot)
        await asyncio.sleep(SETTLED_SECONDS)
        (idle,) = await core_shares(bot.process.pid, seconds=IDLE_SECONDS)
        return found, (keystrokes, idle, memory_of(bot.process.pid))


async def _time(bot: RunningBot, command: str, **options: object) -> float:
    """Return the seconds from a command to its whole answer."""
    started = time.monotonic()
    await bot.ask(command, environment=ENVIRONMENT, **options)
    return time.monotonic() - started


async def _type(bot: RunningBot) -> list[float]:
    """Type into each option that suggests something; returns the seconds from each keystroke to the suggestions."""
    typed: tuple[tuple[str, str, str, Mapping[str, Any]], ...] = (
        ("deploy", "version", "v", {"environment": ENVIRONMENT}),
        ("deploy", "services", "service-1", {"environment": ENVIRONMENT, "version": "v1"}),
        ("rollback", "to", "r", {"environment": ENVIRONMENT}),
        ("deploy", "environment", "e", {}),
    )
    taken = []
    for number in range(KEYSTROKES):
        command, option, value, others = typed[number % len(typed)]
        started = time.monotonic()
        await bot.people.autocomplete("dora", command, option, value, **others)
        taken.append(time.monotonic() - started)
        await asyncio.sleep(KEYSTROKE_SECONDS)
    return taken
