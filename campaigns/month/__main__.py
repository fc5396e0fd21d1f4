"""`python -m campaigns.month`: live through a month in minutes, and say whether all of it stayed within its bounds."""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from campaigns.month.bounds import breaches, row_bounds
from campaigns.month.living import Busyness, live


def main() -> int:
    """Read the command line, live, and return 1 for anything beyond its bound."""
    parser = argparse.ArgumentParser(prog="python -m campaigns.month", description=__doc__)
    parser.add_argument("--deployments", type=int, default=500)
    parser.add_argument("--alerts", type=int, default=5000)
    parser.add_argument("--bots", type=int, default=200, help="how often the bot is replaced (default: %(default)s)")
    given = parser.parse_args()
    busyness = Busyness(given.deployments, given.alerts, given.bots)
    begun = time.monotonic()
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


if __name__ == "__main__":
    sys.exit(main())
