"""Tell how a campaign goes and went: a line a round, a file of all of them, and a summary."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from campaigns.crash.coverage import Coverage
from campaigns.crash.playing import Played, Verdict

SLOWEST = 5


class Teller:
    """Print progress and keep it."""

    def __init__(self, results: Path, seed: int) -> None:
        self._file = results / "rounds.jsonl"
        self._seed = seed
        self._begun = time.monotonic()

    def say(self, words: str) -> None:
        """Print a line with the time since the beginning."""
        print(f"{time.monotonic() - self._begun:7.1f} s  {words}", flush=True)

    def played(self, number: int, of: int, lane: str, played: Played) -> None:
        """Tell how one round went."""
        outcome = ", ".join(played.outcomes) or "no deployment"
        words = f"{number}/{of} {lane} seed {self._seed}  {played.round}  ->  {outcome}"
        self.say(f"{words}  {played.seconds:.1f} s  {played.verdict}")
        for wrong in played.wrong:
            self.say(f"         breach of {wrong}")
        line = {
            "number": number,
            "seed": self._seed,
            "round": str(played.round),
            "verdict": played.verdict.value,
            "outcomes": played.outcomes,
            "seconds": round(played.seconds, 2),
            "wrong": played.wrong,
        }
        with self._file.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def summary(self, played: Sequence[Played], coverage: Coverage, left: int) -> None:
        """Tell how all of it went."""
        done = [one for one in played if one.verdict is not Verdict.MISSED]
        self.say(f"{len(done)} rounds; {coverage}")
        for kind, number in sorted(Counter(one.round.kind for one in done).items()):
            ended = sum(1 for one in done if one.round.kind is kind and one.verdict is Verdict.GOOD)
            slowest = max(one.seconds for one in done if one.round.kind is kind)
            self.say(f"  {kind}: {ended} of {number} ended well; the slowest {slowest:.1f} s after the last fault")
        outcomes = Counter(", ".join(one.outcomes) or "no deployment" for one in done)
        self.say("  outcomes: " + ", ".join(f"{words} {number}" for words, number in outcomes.most_common()))
        for one in sorted(done, key=lambda one: one.seconds, reverse=True)[:SLOWEST]:
            self.say(f"  slow: {one.seconds:.1f} s  {one.round}")
        for missing in coverage.missing:
            self.say(f"  never hit: {missing}")
        if left:
            self.say(f"  not played for lack of time: {left} rounds")
        for one in done:
            if one.verdict is Verdict.BROKEN:
                self.say(f"  BROKEN: {one.round}: {'; '.join(one.wrong)}")
