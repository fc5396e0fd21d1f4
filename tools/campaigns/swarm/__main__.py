"""`tools.campaigns.swarm`: deploy to a Swarm of three nodes while somebody dies, again and again; judge each end.

The bot is killed before and after each step that the journal announces and each write to the Swarm, of a deployment
that succeeds and of the way back of one that fails; a worker's engine, with all its processes, when each phase begins
and in the middle of an update; and two of three managers. The leader of three managers stalls at each write. `--only`
chooses one of these. All of it takes long: `--slice 3/8` plays the third part.
"""

import argparse
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tools.campaigns.swarm.ground import FAILING, FAILING_JOB, Ground, ground
from tools.campaigns.swarm.rounds import (
    WRITE,
    Kind,
    Played,
    Round,
    clean_run,
    first_run,
    phase_steps,
    play,
    way_back,
    write_of,
)


def main() -> int:
    """Play all rounds; returns 1 where an end was not an honest one."""
    parser = argparse.ArgumentParser(prog="python -m tools.campaigns.swarm", description=__doc__)
    parser.add_argument("--only", choices=list(Kind), action="append", help="who dies; may be given again")
    parser.add_argument("--seed", type=int, default=1, help="what a sample is drawn by (default: %(default)s)")
    parser.add_argument("--limit", type=int, default=0, help="at most so many rounds of each kind")
    parser.add_argument("--slice", type=_part, default=(1, 1), metavar="K/N", help="only the Kth of N parts of them")
    parser.add_argument("--match", default="", help="only steps that have this in their name")
    given = parser.parse_args()
    played: list[Played] = []
    for kind in map(Kind, given.only or Kind):
        managers = 3 if kind in {Kind.QUORUM, Kind.LEADER} else 1
        with (
            tempfile.TemporaryDirectory(prefix="roas-swarm-") as folder,
            ground(Path(folder), managers=managers) as found,
        ):
            first_run(found)
            rounds = [progress for progress in rounds_of(found, kind) if given.match in progress.step]
            rounds = rounds[given.slice[0] - 1 :: given.slice[1]]
            if given.limit:
                rounds = random.Random(given.seed).sample(rounds, min(given.limit, len(rounds)))  # noqa: S311
            played += [_told(play(found, item), number, len(rounds)) for number, item in enumerate(rounds, 1)]
    broken = [item for item in played if item.wrong]
    print(f"{len(played)} rounds, {len(broken)} broken; ends: {dict(Counter(item.ended.outcome for item in played))}")
    return int(bool(broken))


def rounds_of(found: Ground, kind: Kind) -> list[Round]:
    """Learn the steps of a deployment, and return the rounds of a kind."""
    good, bad = clean_run(found), way_back(clean_run(found, FAILING))
    if kind is Kind.BOT:
        rounds = [*(Round(kind, step) for step in good), *(Round(kind, step, FAILING) for step in bad)]
        return [*rounds, Round(kind, write_of(good, "migrate"), FAILING_JOB)]
    if kind is Kind.LEADER:
        return [Round(kind, step) for step in good if WRITE.match(step)]
    steps = [*phase_steps(good), *([write_of(good, "web")] if kind is Kind.NODE else [])]
    return [*(Round(kind, step) for step in steps), *(Round(kind, step, FAILING) for step in phase_steps(bad))]


def _part(text: str) -> tuple[int, int]:
    """Read which part of how many. Raises ValueError."""
    number, _, parts = text.partition("/")
    if not 1 <= int(number) <= int(parts):
        raise ValueError(text)
    return int(number), int(parts)


def _told(played: Played, number: int, total: int) -> Played:
    how = f"BROKEN: {'; '.join(played.wrong)}" if played.wrong else "good"
    noticed = "" if played.noticed is None else f", {played.noticed:.0f} s after Swarm had noticed"
    why = f" ({played.ended.why})" if played.ended.why else ""
    told = f"{played.round}: {played.ended.outcome or 'nothing began'}{why}{noticed}: {how}"
    print(f"{number}/{total} {told} ({played.seconds:.0f} s)", flush=True)
    return played


if __name__ == "__main__":
    sys.exit(main())
