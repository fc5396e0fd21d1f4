"""Know the rounds that were played in earlier sittings, and how each ended."""

from collections.abc import Iterable
from pathlib import Path

from tools.campaigns.crash.playing import Played, Verdict
from tools.campaigns.crash.rounds import Round
from tools.campaigns.kept_rounds import KeptRounds


class Record:
    """Write rounds as they are played, and return those that were hit before."""

    def __init__(self, results: Path, seed: int) -> None:
        self._rounds = KeptRounds(results)
        self._seed = seed

    def add(self, number: int, played: Played) -> None:
        """Write how one round went."""
        line = {
            "number": number,
            "seed": self._seed,
            "round": str(played.round),
            "verdict": played.verdict.value,
            "outcomes": played.outcomes,
            "seconds": round(played.seconds, 2),
            "wrong": played.wrong,
        }
        self._rounds.add(repr(played.round), line)

    def played(self, wanted: Iterable[Round]) -> list[Played]:
        """Return which of these rounds were hit before, and how each ended; breaches stay breaches."""
        rounds = {repr(item): item for item in wanted}
        return [
            Played(rounds[line["key"]], verdict, line["seconds"], tuple(line["outcomes"]), tuple(line["wrong"]))
            for line in self._rounds.lines()
            if line["key"] in rounds and (verdict := Verdict(line["verdict"])) in {Verdict.GOOD, Verdict.BROKEN}
        ]
