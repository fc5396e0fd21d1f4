"""Keep a line of each round in the results folder, and what follows from all of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from tools.campaigns.crash.playing import Verdict
from tools.campaigns.hands.ground import Left
from tools.campaigns.hands.playing import Played
from tools.campaigns.hands.rounds import Hand, Moment, Round, covering_first
from tools.campaigns.kept_rounds import KeptRounds, code_version


@dataclass(frozen=True, slots=True)
class Line:
    """Hold one round that was played."""

    verdict: Verdict
    seconds: float
    wrong: tuple[str, ...]
    load: float
    # It failed on a busy machine, and is played again: only the last time counts.
    again: bool = False
    outcome: str = ""
    # How many rounds this stack had been through, and what was there after this one.
    nth: int = 0
    image_names: int = 0
    files: int = 0


class Record:
    """Write rounds as they are played, and know those that need not be played again."""

    def __init__(self, results: Path) -> None:
        self._rounds = KeptRounds(results)

    def add(self, played: Played, load: float, nth: int, left: Left, *, again: bool) -> None:
        """Write how one round went."""
        line = Line(
            played.verdict,
            round(played.seconds, 1),
            played.wrong,
            load,
            again,
            played.outcome,
            nth,
            left.image_names,
            left.files,
        )
        self._rounds.add(repr(played.round), asdict(line))

    def last(self) -> Mapping[str, Line]:
        """Return how each round that was played of this code went the last time."""
        names = [field.name for field in fields(Line)]
        return {
            key: Line(
                **{name: line[name] for name in names}
                | {"verdict": Verdict(line["verdict"]), "wrong": tuple(line["wrong"])}
            )
            for key, line in self._rounds.last().items()
        }

    def left(self, rounds: Sequence[Round]) -> list[Round]:
        """Return the rounds that are to be played: not those that went well, nor those that this code broke."""
        last = self.last()
        done = {item for item in rounds if self._is_done(last.get(repr(item)))}
        reached = {(item.hand, item.moment) for item in done}
        return covering_first((item for item in rounds if item not in done), reached)

    def _is_done(self, line: Line | None) -> bool:
        return line is not None and not line.again and line.verdict in {Verdict.GOOD, Verdict.BROKEN}


def summary(rounds: Iterable[Round], last: Mapping[str, Line]) -> str:
    """Return a table: each hand, its rounds, how many went well, the slowest; and what is missing."""
    rounds = list(rounds)
    found = {item: last[repr(item)] for item in rounds if repr(item) in last}
    hit = {turn: line for turn, line in found.items() if line.verdict in {Verdict.GOOD, Verdict.BROKEN}}
    rows = [_row(hand, [item for item in rounds if item.hand is hand], hit) for hand in Hand]
    good = sum(line.verdict is Verdict.GOOD for line in hit.values())
    reached = {(item.hand, item.moment) for item in hit}
    missing = [f"{hand} ({moment})" for hand in Hand for moment in Moment if (hand, moment) not in reached]
    most = max(hit.values(), key=lambda line: line.nth, default=None)
    return "\n".join(
        [
            "| what was done | rounds | played | ended well | the slowest, in seconds after it |",
            "|---|---|---|---|---|",
            *filter(None, rows),
            "",
            f"{good} of {len(hit)} rounds ended well; {len(rounds) - len(hit)} were not played.",
            *([] if most is None else [_left(most, hit.values())]),
            f"Code: {code_version()}.",
            *(f"never hit: {item}" for item in missing),
            *(f"{line.verdict}: {turn}: {'; '.join(line.wrong)}" for turn, line in found.items() if line.wrong),
            "",
        ]
    )


def _row(hand: Hand, rounds: list[Round], hit: Mapping[Round, Line]) -> str:
    lines = [hit[item] for item in rounds if item in hit]
    well = sum(line.verdict is Verdict.GOOD for line in lines)
    slowest = max((line.seconds for line in lines), default=0.0)
    return f"| {hand} | {len(rounds)} | {len(lines)} | {well} | {slowest:.1f} |" if rounds else ""


def _left(most: Line, lines: Iterable[Line]) -> str:
    counted = [line for line in lines if line.nth]
    names = max((line.image_names for line in counted), default=0)
    files = max((line.files for line in counted), default=0)
    return (
        f"The stack that went through the most rounds had {most.nth}: {most.image_names} names of images and "
        f"{most.files} files in STATE_DIR then. The most after any round: {names} names, {files} files."
    )
