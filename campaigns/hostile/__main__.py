"""`python -m campaigns.hostile`: attack the compose policy with every value under every spelling; 1 for any hole."""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from campaigns.hostile.corpus import cases
from campaigns.hostile.judge import Judged, Verdict, judge


def main() -> int:
    """Run the campaign, print what was accepted and refused per key, and return 1 where a case turned out wrong."""
    parser = argparse.ArgumentParser(prog="python -m campaigns.hostile", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="what decides the order (default: %(default)s)")
    parser.add_argument("--spellings", type=int, help="how many of the spellings (default: all)")
    parser.add_argument("--key", default="", help="only keys that begin so")
    given = parser.parse_args()
    chosen = [case for case in cases(given.seed, spelled=given.spellings) if case.key.startswith(given.key)]
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="roas-hostile-") as folder:
        judged = list(judge(chosen, Path(folder)))
    sys.stdout.write(report(judged) + f"\n{time.monotonic() - started:.0f} s\n")
    wrong = [one for one in judged if one.is_wrong]
    for one in wrong[:200]:
        sys.stderr.write(f"WRONG {one.verdict}: {one.case.key}, {one.case.spelled}: {str(one.case.value)[:120]}\n")
    return 1 if wrong else 0


def report(judged: Iterable[Judged]) -> str:
    """Return a table: per key, how many cases Compose took, and how many of these were refused and passed."""
    counted: dict[tuple[str, bool], Counter[Verdict]] = {}
    for one in judged:
        counted.setdefault((one.case.key, one.case.hostile), Counter())[one.verdict] += 1
    total: dict[bool, Counter[Verdict]] = {True: Counter(), False: Counter()}
    lines = ["| key | cases | not taken | refused | by another rule | passed |", "|---|---:|---:|---:|---:|---:|"]
    for (key, hostile), verdicts in sorted(counted.items(), key=lambda item: (not item[0][1], item[0][0])):
        total[hostile] += verdicts
        lines.append(_line(f"`{key}`" if hostile else f"`{key}`, ordinary", verdicts))
    lines += [_line("**hostile**", total[True]), _line("**ordinary**", total[False])]
    return "\n".join(lines)


def _line(name: str, verdicts: Counter[Verdict]) -> str:
    numbers = (verdicts[one] for one in (Verdict.NOT_TAKEN, Verdict.REFUSED, Verdict.OTHERWISE, Verdict.PASSED))
    return f"| {name} | {verdicts.total()} | " + " | ".join(map(str, numbers)) + " |"


if __name__ == "__main__":
    sys.exit(main())
