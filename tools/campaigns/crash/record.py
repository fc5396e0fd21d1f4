"""Keep a line of each round in the results folder, so that a campaign can be gone on with where it stopped."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tools.campaigns.crash.playing import Played, Verdict
from tools.campaigns.crash.rounds import Round

FILE_NAME = "rounds.jsonl"


class Record:
    """Write rounds as they are played, and know those that were."""

    def __init__(self, results: Path, seed: int) -> None:
        self._path = results / FILE_NAME
        self._seed = seed

    def add(self, number: int, played: Played) -> None:
        """Write how one round went."""
        line = {
            "number": number,
            "seed": self._seed,
            "round": str(played.round),
            "key": repr(played.round),
            "verdict": played.verdict.value,
            "outcomes": played.outcomes,
            "seconds": round(played.seconds, 2),
            "wrong": played.wrong,
        }
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def played(self, wanted: Iterable[Round]) -> list[Played]:
        """Return which of these rounds were hit before, and how each ended; breaches stay breaches."""
        if not self._path.exists():
            return []
        rounds = {repr(item): item for item in wanted}
        lines = [json.loads(line) for line in self._path.read_text().splitlines()]
        return [
            Played(rounds[line["key"]], Verdict(line["verdict"]), *_ended(line))
            for line in lines
            if line["key"] in rounds and Verdict(line["verdict"]) in {Verdict.GOOD, Verdict.BROKEN}
        ]


def _ended(line: dict[str, Any]) -> tuple[float, tuple[str, ...], tuple[str, ...]]:
    return float(line["seconds"]), tuple(line["outcomes"]), tuple(line["wrong"])
