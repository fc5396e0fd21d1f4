"""`python -m benchmarks deploy` prints a measurement as JSON, or as a table for docs/performance.md."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.deploy import measure
from testbed.engine import find_or_start_engine


def main() -> int:
    """Run one benchmark and print what was seen."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("benchmark", choices=["deploy"])
    parser.add_argument("--runs", type=int, default=10, help="how often each side runs, in turns (default 10)")
    parser.add_argument("--json", action="store_true", help="print every single figure")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="roas-benchmark-") as folder,
        find_or_start_engine(Path(folder) / "engine") as engine,
    ):
        result = measure(engine, Path(folder), arguments.runs)
    if arguments.json:
        json.dump(result.as_dict(), sys.stdout, indent=2)
        print()
    else:
        print(result.as_table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
