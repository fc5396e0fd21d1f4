"""`python -m tools.benchmarks` measures all that people wait for beside its peers; with a name, that one alone.

Figures are printed as a Markdown table, or as JSON.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from testbed.engine import find_or_start_engine
from tools.benchmarks import (
    alerting,
    approval,
    backups,
    context,
    deploy,
    gap,
    large,
    long_journal,
    proposals,
    redaction,
    services,
    shared,
    status,
    swarm,
    table,
)

RUNS = {
    "table": 3,
    "alerting": 50,
    "approval": 20,
    "backups": 5,
    "context": 5,
    "deploy": 10,
    "gap": 3,
    "journal": 20,
    "large": 5,
    "proposals": 100,
    "redaction": 10,
    "services": 3,
    "shared": 5,
    "status": 10,
    "swarm": 5,
}

Result = (
    alerting.Result
    | approval.Result
    | backups.Result
    | context.Result
    | deploy.Result
    | gap.Gaps
    | large.Result
    | long_journal.Result
    | proposals.Result
    | redaction.Result
    | services.Result
    | shared.Result
    | status.Result
    | swarm.Result
    | table.Result
)


def main() -> int:
    """Run one benchmark and print what was seen."""
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks", description=__doc__)
    parser.add_argument("benchmark", nargs="?", choices=list(RUNS), default="table")
    parser.add_argument("--runs", type=int, help=f"how often each side runs, in turns (default {RUNS})")
    parser.add_argument("--sizes", help="of `large`, such as 50,100: it takes ten minutes in all", default="")
    parser.add_argument("--json", action="store_true", help="print every single figure")
    parser.add_argument("--write", action="store_true", help="record the table, in the documentation too")
    parser.add_argument("--check", action="store_true", help="fail where the table is worse than recorded")
    arguments = parser.parse_args()
    if (arguments.write or arguments.check) and arguments.benchmark != "table":
        parser.error("--write and --check go with the whole table")
    if arguments.check:
        table.recorded_figures()
    sizes = tuple(map(int, filter(None, arguments.sizes.split(","))))
    result = _measured(arguments.benchmark, arguments.runs, sizes)
    if arguments.json:
        json.dump(result.as_dict(), sys.stdout, indent=2)
        print()
    else:
        print(result.as_table())
    if isinstance(result, table.Result):
        if arguments.write:
            result.write()
        if arguments.check:
            return _check(result)
    return 0


def _check(result: table.Result) -> int:
    """Compare with what is recorded; what is worse is measured once more, since a machine has bad moments."""
    worse = result.worse()
    if worse:
        print("Measured again, since this is worse than recorded:", *worse.values(), sep="\n- ")
        again = _measured("table", None)
        assert isinstance(again, table.Result)
        print(again.as_table())
        worse = {name: text for name, text in again.worse().items() if name in worse}
    if worse:
        print("Worse than recorded:", *worse.values(), sep="\n- ", file=sys.stderr)
    return 1 if worse else 0


def _measured(benchmark: str, runs: int | None, sizes: Sequence[int] = ()) -> Result:
    with tempfile.TemporaryDirectory(prefix="roas-benchmark-") as folder:
        return _measure(benchmark, Path(folder), runs or RUNS[benchmark], sizes)


def _measure(benchmark: str, folder: Path, runs: int, sizes: Sequence[int]) -> Result:
    without_engine: dict[str, Callable[[], Result]] = {
        "alerting": lambda: alerting.measure(folder, runs),
        "context": lambda: context.measure(runs),
        "gap": lambda: gap.measure(folder, runs),
        "redaction": lambda: redaction.measure(runs),
        "shared": lambda: shared.measure(folder, runs),
        "status": lambda: status.measure(folder, runs),
        "swarm": lambda: swarm.measure(folder, runs),
    }
    if measure := without_engine.get(benchmark):
        return measure()
    with find_or_start_engine(folder / "engine") as engine:
        if benchmark == "table":
            return table.measure(engine, folder, runs)
        if benchmark == "large":
            return large.measure(engine, folder, runs, sizes or large.SIZES)
        if benchmark == "journal":
            return long_journal.measure(engine, folder, runs)
        if benchmark == "approval":
            return approval.measure(engine, folder, runs)
        if benchmark == "backups":
            return backups.measure(engine, folder, runs)
        if benchmark == "proposals":
            return proposals.measure(engine, folder, runs)
        if benchmark == "services":
            return services.measure(engine, folder, runs)
        return deploy.measure(engine, folder, runs)


if __name__ == "__main__":
    sys.exit(main())
