"""Play canaries for real: a HAProxy, users and containers on an engine, judged by the bot that deploys.

`python -m tools.campaigns.canary.real --rounds 5 --results FOLDER`; the same versions, traffic and policy as in the
simulation, whose ends stand beside. Many canaries are played at a time, and few under much traffic. What was played of
this code stays in the folder. Where few requests come, `--rate 0.2 --rate 2 --read-seconds 5` lets more of them be
played. Returns 1 where the judge was wrong more often than it may be.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

from roas.app.application import Application, open_application
from roas.metrics.bot_metrics import Metrics
from roas.stack.updating import service_rollout
from roas.stack.updating.canary.service_canary import READ_SECONDS
from testbed.interruption import end_as_by_ctrl_c
from tools.campaigns.canary.ground import Ground, Lane, ground
from tools.campaigns.canary.playing import POLICY, TRAFFICS, VERSIONS, Round, Users, Version, Way, play
from tools.campaigns.canary.real_round import NoVerdictError, RealRound, begin, play_round
from tools.campaigns.canary.real_table import table, too_often
from tools.campaigns.kept_rounds import KeptRounds

# From how many requests a second on a canary needs a part of the machine, and from how many on two such parts.
OFTEN, MUCH = 50.0, 500.0
# How many canaries are played at a time, of those under little traffic, which mostly wait, and of the others.
PLACES = {False: 26, True: 4}
# The longest come first: at two requests a second, most are undecided until the deadline, and some in both steps.
ORDER = (2.0, 0.2, 50.0, 500.0)
# In how many lanes containers come or go at a time, and how often a canary is begun that comes to no verdict.
BUSY_AT_ONCE, ATTEMPTS = 2, 4
THREADS = 128
Result = TypeVar("Result")


def main() -> int:
    """Read the command line, play, and judge."""
    parser = argparse.ArgumentParser(prog="python -m tools.campaigns.canary.real", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--simulated", type=int, default=200, help="as many are played in simulation beside")
    parser.add_argument("--results", type=Path, help="where rounds are kept, and played no second time")
    parser.add_argument("--rate", type=float, action="append", choices=TRAFFICS, help="only so many requests a second")
    parser.add_argument("--version", action="append", choices=[version.name for version in VERSIONS])
    parser.add_argument("--read-seconds", type=float, default=READ_SECONDS, help="how often the bot reads the counters")
    parser.add_argument("--table", type=Path)
    given = parser.parse_args()
    end_as_by_ctrl_c()
    rates = given.rate or list(TRAFFICS)
    versions = tuple(version for version in VERSIONS if version.name in (given.version or (version.name,)))
    wanted = [(version, rate, number) for number in range(given.rounds) for version in versions for rate in rates]
    with tempfile.TemporaryDirectory(prefix="roas-canary-") as folder:
        kept = KeptRounds(given.results or Path(folder) / "results")
        missing = [item for item in wanted if key_of(*item) not in kept.last()]
        if missing:
            with patch.object(service_rollout, "READ_SECONDS", given.read_seconds):
                asyncio.run(_play_all(Path(folder), versions, missing, kept))
        lines = kept.last()
        played = {
            (version.name, rate): list(_read(lines, version, rate, given.rounds))
            for version in versions
            for rate in rates
        }
    simulated = {key: _simulate(versions, *key, given.simulated) for key in played}
    text = table(played, simulated)
    print(text)
    if given.table is not None:
        given.table.write_text(text)
    wrong = [
        *too_often(played),
        *(f"{item.key}: {item.wrong}" for items in played.values() for item in items if item.wrong),
    ]
    for line in wrong:
        print(line, file=sys.stderr)
    return int(bool(wrong))


def key_of(version: Version, rate: float, number: int) -> str:
    """Return what a round is known by."""
    return f"{version.name} at {rate:g}/s, round {number + 1}"


def _read(lines: Mapping[str, Mapping[str, Any]], version: Version, rate: float, rounds: int) -> Iterator[RealRound]:
    for number in range(rounds):
        if (line := lines.get(key := key_of(version, rate, number))) is not None:
            yield RealRound.read(key, line)


def _simulate(versions: Iterable[Version], name: str, rate: float, rounds: int) -> list[Round]:
    (version,) = (version for version in versions if version.name == name)
    luck = random.Random(f"{name} {rate}")  # noqa: S311 - luck, not secrets
    return [play(Way.SEQUENTIAL, Users(rate, version, luck)) for _ in range(rounds)]


async def _play_all(
    folder: Path, versions: tuple[Version, ...], missing: list[tuple[Version, float, int]], kept: KeptRounds
) -> None:
    """Play rounds in many lanes at a time: those first that last longest."""
    rounds = sorted(missing, key=lambda item: ORDER.index(item[1]))
    lanes = min(len(rounds), sum(PLACES[is_often] for is_often in {rate >= OFTEN for _, rate, _ in rounds}))
    with ground(folder / "ground", versions, POLICY, lanes) as found:
        async with open_application(found.settings, metrics=Metrics("canary")) as opened:
            await _play_beside(found, opened, rounds, kept)


async def _play_beside(
    found: Ground, opened: Application, rounds: list[tuple[Version, float, int]], kept: KeptRounds
) -> None:
    free, busy = asyncio.Queue[Lane](), asyncio.Semaphore(BUSY_AT_ONCE)
    places = {is_often: Places(number) for is_often, number in PLACES.items()}
    left = len(rounds)

    async def start(lane: Lane) -> None:
        async with busy:
            await _unless_busy(lambda: begin(opened, lane))
        free.put_nowait(lane)

    async def play_one(version: Version, rate: float, number: int) -> None:
        nonlocal left
        async with places[rate >= OFTEN].taken(2 if rate >= MUCH else 1):
            played = await _unless_busy(partial(_in_a_lane, free, opened, version, rate, number, busy))
        left -= 1
        kept.add(played.key, played.facts())
        print(f"{played}; {left} left", file=sys.stderr, flush=True)

    # Lanes wait in threads, which the bot has use for, too.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    async with asyncio.TaskGroup() as tasks:
        for lane in found.lanes:
            tasks.create_task(start(lane))
        for item in rounds:
            tasks.create_task(play_one(*item))


async def _in_a_lane(
    free: asyncio.Queue[Lane],
    opened: Application,
    version: Version,
    rate: float,
    number: int,
    busy: asyncio.Semaphore,
) -> RealRound:
    """Play a round in the lane that is free for longest: after one that is broken comes another one."""
    lane = await free.get()
    try:
        return await play_round(opened, lane, version, rate, key_of(version, rate, number), busy)
    finally:
        free.put_nowait(lane)


async def _unless_busy(play: Callable[[], Awaitable[Result]]) -> Result:
    """Play; again where the machine was too busy. Raises NoVerdictError where it always is."""
    for _ in range(ATTEMPTS - 1):
        try:
            return await play()
        except NoVerdictError as error:
            print(f"once more: {error}", file=sys.stderr, flush=True)
    return await play()


class Places:
    """Share out how many canaries are played at a time: one under much traffic takes more than one place."""

    def __init__(self, number: int) -> None:
        self._free = asyncio.Semaphore(number)
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def taken(self, number: int) -> AsyncIterator[None]:
        """Take places for the length of the block, in the order in which they were asked for."""
        async with self._turn:
            for _ in range(number):
                await self._free.acquire()
        try:
            yield
        finally:
            for _ in range(number):
                self._free.release()


if __name__ == "__main__":
    sys.exit(main())
