"""`tools.campaigns.corpus FOLDER`: describe, plan and take over each stack of a folder; 1 where too few plan."""

import argparse
import math
import os
import signal
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import docker.errors
import requests.exceptions

from testbed.slot_holder import DaemonError
from tools.campaigns.corpus.apart import go_apart
from tools.campaigns.corpus.ground import opened_ground
from tools.campaigns.corpus.playing import Play, Played, Verdict
from tools.campaigns.corpus.record import add, is_good, summary
from tools.campaigns.corpus.stacks import Stack, read_stacks

TRIES = 2
TERMINATED = 143
AWAY = (DaemonError, docker.errors.DockerException, requests.exceptions.RequestException)


def main() -> int:
    """Play every stack, write the table, and return 1 where it is not good."""
    parser = argparse.ArgumentParser(prog="python -m tools.campaigns.corpus", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the stacks and their corpus.toml are")
    parser.add_argument("--list", type=Path, help="the list of the stacks, where it is not the folder's corpus.toml")
    parser.add_argument("--results", type=Path, default=Path("corpus-results"), help="where the table is written")
    parser.add_argument("--only", default="", help="only stacks whose names have one of these words in them (a,b)")
    parser.add_argument("--seconds", type=float, default=math.inf, help="begin no stack after so long")
    given = parser.parse_args()
    go_apart()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    words = given.only.split(",")
    known = read_stacks(given.folder, given.list)
    stacks = [stack for stack in known if any(word in stack.name for word in words)]
    played = []
    for item in _play(stacks, given.folder.resolve(), time.monotonic() + given.seconds):
        add(given.results, item)
        played.append(item)
        print(_line(item), flush=True)
    table = summary(played)
    (given.results / "summary.md").write_text(table)
    print(table, f"load {os.getloadavg()[0]:.1f}", flush=True)
    return 0 if is_good(played) else 1


def _play(stacks: Sequence[Stack], source: Path, until: float) -> Iterator[Played]:
    """Play all stacks on one engine; on a new one after one that went away."""
    waiting, tries = deque(stacks), Counter[str]()
    while waiting and time.monotonic() < until:
        try:
            with tempfile.TemporaryDirectory(prefix="roas-corpus-") as folder, opened_ground(Path(folder)) as ground:
                while waiting and time.monotonic() < until:
                    tries[waiting[0].name] += 1
                    yield Play(ground, waiting[0], source).play()
                    waiting.popleft()
        except AWAY as error:
            if tries[waiting[0].name] >= TRIES:
                gone = waiting.popleft()
                yield Played(gone.name, gone.repository, verdict=Verdict.NO_GROUND, said=repr(error))


def _line(one: Played) -> str:
    said = "; ".join(filter(None, (one.said, str(one.adoption), *one.notes)))
    return f"{one.seconds:5.1f} s  {one.name} ({one.services} services, {one.started[:120]}): {one.verdict}; {said}"


if __name__ == "__main__":
    sys.exit(main())
