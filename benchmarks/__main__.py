"""`python -m benchmarks NAME` prints a measurement as JSON, or as a table for docs/performance.md."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks import alerting, deploy, gap, redaction, services, status
from testbed.engine import find_or_start_engine

RUNS = {"alerting": 50, "deploy": 10, "gap": 3, "redaction": 10, "services": 3, "status": 10}

Result = alerting.Result | deploy.Result | gap.Gaps | redaction.Result | services.Result | status.Result


def main() -> int:
    """Run one benchmark and print what was seen."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("benchmark", choices=list(RUNS))
    parser.add_argument("--runs", type=int, help=f"how often each side runs, in turns (default {RUNS})")
    parser.add_argument("--json", action="store_true", help="print every single figure")
    arguments = parser.parse_args()
    runs = arguments.runs or RUNS[arguments.benchmark]
    with tempfile.TemporaryDirectory(prefix="roas-benchmark-") as folder:
        result = _measure(arguments.benchmark, Path(folder), runs)
    if arguments.json:
        json.dump(result.as_dict(), sys.stdout, indent=2)
        print()
    else:
        print(result.as_table())
    return 0


def _measure(benchmark: str, folder: Path, runs: int) -> Result:
    if benchmark == "gap":
        return gap.measure(folder, runs)
    if benchmark == "alerting":
        return alerting.measure(folder, runs)
    if benchmark == "redaction":
        return redaction.measure(runs)
    if benchmark == "status":
        return status.measure(folder, runs)
    with find_or_start_engine(folder / "engine") as engine:
        if benchmark == "services":
            return services.measure(engine, folder, runs)
        return deploy.measure(engine, folder, runs)


if __name__ == "__main__":
    sys.exit(main())
