"""`tools.campaigns.hostile`: attack the compose policy with every value under every spelling; 1 for any hole."""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tools.campaigns.hostile.corpus import PLAIN, SPELLINGS_EACH, Case, Kind, cases, cases_of_every_key, value_of
from tools.campaigns.hostile.judge import Judged, Verdict, judge


def main() -> int:
    """Run the campaign, print what was accepted and refused per key, and return 1 where a case turned out wrong."""
    parser = argparse.ArgumentParser(prog="python -m tools.campaigns.hostile", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="what decides the order (default: %(default)s)")
    parser.add_argument("--spellings", type=int, help="how many of the spellings (default: all)")
    parser.add_argument("--key", default="", help="only keys that begin so")
    given = parser.parse_args()
    started = time.monotonic()
    judged = [*_judged(cases(given.seed, spelled=given.spellings), given.key)]
    judged += _every_key(given.seed, given.spellings, given.key)
    sys.stdout.write(report(judged) + f"\n{time.monotonic() - started:.0f} s\n")
    wrong = [item for item in judged if item.is_wrong]
    for service in wrong[:200]:
        sys.stderr.write(
            f"WRONG {service.verdict}: {service.case.key}, {service.case.spelled}: {str(service.case.value)[:120]}\n"
        )
    return 1 if wrong else 0


def _judged(cases: Iterable[Case], key: str) -> Iterator[Judged]:
    chosen = [case for case in cases if case.subject.startswith(key)]
    with tempfile.TemporaryDirectory(prefix="roas-hostile-") as folder:
        yield from judge(chosen, Path(folder))


def _every_key(seed: int, spelled: int | None, key: str) -> Iterator[Judged]:
    """Judge every key of the schema; a value that Compose does not take plainly is not spelled in other ways."""
    every = cases_of_every_key(seed, spelled=SPELLINGS_EACH if spelled is None else min(spelled, SPELLINGS_EACH))
    plainly = list(_judged((case for case in every if case.spelled == PLAIN), key))
    yield from plainly
    taken = {value_of(service.case) for service in plainly if service.verdict is not Verdict.NOT_TAKEN}
    yield from _judged((case for case in every if case.spelled != PLAIN and value_of(case) in taken), key)


def report(judged: Iterable[Judged]) -> str:
    """Return a table: per key, how many cases Compose took, and how many of these were refused and passed."""
    counted: dict[tuple[Kind, str], Counter[Verdict]] = {}
    for entry in judged:
        counted.setdefault((entry.case.kind, entry.case.subject), Counter())[entry.verdict] += 1
    total: dict[Kind, Counter[Verdict]] = {kind: Counter() for kind in Kind}
    lines = ["| key | cases | not taken | refused | by another rule | passed |", "|---|---:|---:|---:|---:|---:|"]
    order = list(Kind)
    for (kind, subject), verdicts in sorted(counted.items(), key=lambda item: (order.index(item[0][0]), item[0][1])):
        total[kind] += verdicts
        lines.append(_line(f"`{subject}`" if kind is Kind.HOSTILE else f"`{subject}`, {kind}", verdicts))
    lines += [_line(f"**{kind}**", total[kind]) for kind in Kind]
    return "\n".join(lines)


def _line(name: str, verdicts: Counter[Verdict]) -> str:
    numbers = (verdicts[item] for item in (Verdict.NOT_TAKEN, Verdict.REFUSED, Verdict.OTHERWISE, Verdict.PASSED))
    return f"| {name} | {verdicts.total()} | " + " | ".join(map(str, numbers)) + " |"


if __name__ == "__main__":
    sys.exit(main())
