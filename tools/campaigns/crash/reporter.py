"""Report on a campaign: a line a round, a file of all of them, and a summary."""

import time
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from tools.campaigns.crash.coverage import Coverage
from tools.campaigns.crash.playing import Played, Verdict
from tools.campaigns.crash.record import Record
from tools.campaigns.crash.rounds import Kind, Round

SLOWEST = 5
TABLE = """| rounds | planned | hit | ended well | the slowest, in seconds after the last fault |
|---|---|---|---|---|
"""


class Reporter:
    """Print progress and keep it."""

    def __init__(self, results: Path, seed: int) -> None:
        self.record = Record(results, seed)
        self._table = results / "summary.md"
        self._seed = seed
        self._begun = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line with the time since the beginning."""
        print(f"{time.monotonic() - self._begun:7.1f} s  {text}", flush=True)

    def played(self, number: int, of: int, lane: str, played: Played) -> None:
        """Report how one round went."""
        outcome = ", ".join(played.outcomes) or "no deployment"
        text = f"{number}/{of} {lane} seed {self._seed}  {played.round}  ->  {outcome}"
        self.say(f"{text}  {played.seconds:.1f} s  {played.verdict}")
        for wrong in played.wrong:
            self.say(f"         breach of {wrong}")
        self.record.add(number, played)

    def summary(
        self, played: Sequence[Played], coverage: Coverage, wrong_notifications: Sequence[str], left: Collection[Round]
    ) -> None:
        """Report how all of it went, and keep that as a table; `left` is what there was no time for."""
        done = [entry for entry in played if entry.verdict in {Verdict.GOOD, Verdict.BROKEN}]
        rows = [_row(kind, done, coverage) for kind in Kind if coverage.wanted(kind)]
        self._table.write_text(TABLE + "\n".join(rows) + "\n")
        for line in (str(coverage), *rows):
            self.say(line)
        outcomes = Counter(", ".join(entry.outcomes) or "no deployment" for entry in done)
        self.say("outcomes: " + ", ".join(f"{text} {number}" for text, number in outcomes.most_common()))
        for item in sorted(done, key=lambda entry: entry.seconds, reverse=True)[:SLOWEST]:
            self.say(f"  slow: {item.seconds:.1f} s  {item.round}")
        for missing in coverage.missing:
            if missing not in left:
                self.say(f"  never hit: {missing}")
        if left:
            self.say(f"  not played: {len(left)} rounds")
        for entry in played:
            if entry.verdict in {Verdict.BROKEN, Verdict.UNPLAYED, Verdict.ENGINE}:
                self.say(f"  {entry.verdict}: {entry.round}: {'; '.join(entry.wrong)}")
        for text in wrong_notifications:
            self.say(f"  {Verdict.BROKEN}: {text}")


def _row(kind: Kind, done: Sequence[Played], coverage: Coverage) -> str:
    ours = [played for played in done if played.round.kind is kind]
    hit = len({our.round for our in ours})
    well = sum(1 for our in ours if our.verdict is Verdict.GOOD)
    slowest = max((our.seconds for our in ours), default=0.0)
    return f"| {kind} | {coverage.wanted(kind)} | {hit} | {well} | {slowest:.1f} |"
