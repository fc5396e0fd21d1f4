"""Play many random cases and report every one in which the effect was not what the plan said."""

import argparse
import asyncio
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from roas.state.manager import StateManager
from tools.campaigns.plans.cases import Case, Result
from tools.campaigns.plans.engine_cases import EngineCase
from tools.campaigns.plans.ground import opened_ground

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own in it


async def play_cases(seeds: Iterable[int], folder: Path) -> list[Result]:
    """Play the cases of some seeds on one journal."""
    # A journal in memory: what is put to the test is not the disk.
    memory = MEMORY if os.access(MEMORY, os.W_OK) else folder
    with tempfile.TemporaryDirectory(prefix="roas-plans-", dir=memory) as place:
        async with StateManager(Path(place)) as state:
            return [await Case(seed, state, folder).play() for seed in seeds]


async def play_on_engine(first: int, number: int, folder: Path) -> list[Result]:
    """Play a number of cases on a real engine, one after the other."""
    results = []
    with opened_ground(folder) as ground:
        for seed in range(first, first + number):
            began = time.monotonic()
            results.append(found := await EngineCase(seed, ground, folder).play())
            print(f"seed {seed}: {time.monotonic() - began:.1f} s, {found.changed} changed", flush=True)
            report(found)
    return results


def report(found: Result) -> None:
    """Print what was played where the plan was not true."""
    if found.lies:
        print(f"seed {found.seed}: {'; '.join(found.story)}", *found.lies, sep="\n  ", flush=True)


def main() -> int:
    """Return 1 where any plan was not true."""
    parser = argparse.ArgumentParser(prog="python -m tools.campaigns.plans", description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--first", "--seed", type=int, default=1, help="the seed of the first case")
    parser.add_argument("--engine", type=int, metavar="CASES", help="play so many cases on a real, private engine")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="roas-plans-") as folder:
        if arguments.engine:
            results = asyncio.run(play_on_engine(arguments.first, arguments.engine, Path(folder)))
        else:
            seeds = range(arguments.first, arguments.first + arguments.cases)
            results = asyncio.run(play_cases(seeds, Path(folder)))
            for result in results:
                report(result)
    untrue = [result for result in results if result.lies]
    changed = sum(result.changed for result in results)
    print(f"{len(results)} cases, {changed} services changed, {len(untrue)} with a difference")
    return 1 if untrue else 0


if __name__ == "__main__":
    sys.exit(main())
