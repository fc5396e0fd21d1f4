"""`python -m campaigns.month`: live through a month in minutes, and say whether all of it stayed within its bounds."""

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import astuple, fields
from pathlib import Path

from campaigns.month.bounds import breaches, row_bounds
from campaigns.month.living import Busyness, live
from campaigns.month.on_engine import Held, grown, live_on_engine


def main() -> int:
    """Read the command line, live, and return 1 for anything beyond its bound."""
    parser = argparse.ArgumentParser(prog="python -m campaigns.month", description=__doc__)
    parser.add_argument("--deployments", type=int, default=500)
    parser.add_argument("--alerts", type=int, default=5000)
    parser.add_argument("--bots", type=int, default=200, help="how often the bot is replaced (default: %(default)s)")
    parser.add_argument("--engine", action="store_true", help="with the bot in its container, on a private engine")
    given = parser.parse_args()
    busyness = Busyness(given.deployments, given.alerts, given.bots)
    begun = time.monotonic()
    if given.engine:
        return _on_engine(busyness, begun)
    with tempfile.TemporaryDirectory(prefix="roas-month-") as folder:
        footprints, rows = asyncio.run(live(Path(folder) / "state", busyness))
    bounds = row_bounds(busyness)
    for table, count in sorted(rows.items()):
        print(f"{table:20} {count:8} rows" + (f", at most {bounds[table]}" if table in bounds else ""))
    first, last = footprints[len(footprints) // 10], footprints[-1]
    print(f"memory     {first.memory_bytes >> 20} MiB after a tenth, {last.memory_bytes >> 20} MiB at the end")
    print(f"open files {first.open_files}, {last.open_files}")
    print(f"files      {first.files}, {last.files}; {last.disk_bytes >> 20} MiB")
    print(f"took {time.monotonic() - begun:.0f} s")
    wrong = tuple(breaches(footprints, rows, busyness))
    for one in wrong:
        print(f"BROKEN: {one}")
    return int(bool(wrong))


def _on_engine(busyness: Busyness, begun: float) -> int:
    with tempfile.TemporaryDirectory(prefix="roas-month-") as folder:
        held = asyncio.run(live_on_engine(Path(folder), busyness))
    print("| after | " + " | ".join(one.name for one in fields(Held)) + " |")
    for number, one in enumerate(held, start=1):
        print(f"| {number}/{len(held)} | " + " | ".join(str(value) for value in astuple(one)) + " |")
    print(f"took {time.monotonic() - begun:.0f} s")
    wrong = tuple(grown(held))
    for text in wrong:
        print(f"BROKEN: {text}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
