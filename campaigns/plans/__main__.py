"""Play many random cases and report every one in which the effect was not what the plan said."""

import argparse
import asyncio
import logging
import os
import sys
import tempfile
from pathlib import Path

from campaigns.plans.cases import Case, Result
from roas.state.manager import StateManager

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own in it


async def play_cases(first: int, number: int, folder: Path) -> list[Result]:
    """Play a number of cases on one journal."""
    # A journal in memory: what is put to the test is not the disk.
    memory = MEMORY if os.access(MEMORY, os.W_OK) else folder
    with tempfile.TemporaryDirectory(prefix="roas-plans-", dir=memory) as place:
        async with StateManager(Path(place)) as state:
            return [await Case(seed, state, folder).play() for seed in range(first, first + number)]


def main() -> int:
    """Return 1 where any plan was not true."""
    parser = argparse.ArgumentParser(prog="python -m campaigns.plans", description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--first", type=int, default=1, help="the seed of the first case")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="roas-plans-") as folder:
        results = asyncio.run(play_cases(arguments.first, arguments.cases, Path(folder)))
    untrue = [one for one in results if one.lies]
    for one in untrue:
        print(f"seed {one.seed}: {'; '.join(one.story)}", *one.lies, sep="\n  ")
    changed = sum(one.changed for one in results)
    print(f"{len(results)} cases, {changed} services changed, {len(untrue)} with a difference")
    return 1 if untrue else 0


if __name__ == "__main__":
    sys.exit(main())
