"""Write what became of real canaries beside what becomes of simulated ones."""

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from roas.stack.updating.canary.judge import ERROR
from tools.campaigns.canary.playing import End, Round, upper_bound
from tools.campaigns.canary.real_round import RealRound

GOOD = ("0 %", "0.5 %")
BAD = ("5 %", "20 %", "5 % after a minute", "0.5 %, 3 times as slow")
ENDS = (End.PROMOTED, End.TAKEN_BACK, End.ASKED)
Kind = tuple[str, float]


def table(played: Mapping[Kind, Sequence[RealRound]], simulated: Mapping[Kind, Sequence[Round]]) -> str:
    """Write a row for each version and traffic, in Markdown."""
    lines = [
        "| Version fails | Requests/s | Promoted | Taken back | Asked | Median time | Met it | Failed | Simulated |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (version, rate), items in played.items():
        rounds = [item.round for item in items]
        if rounds:
            ends = Counter(item.end for item in rounds)
            counts = [str(ends[end]) for end in ENDS]
            cells = [version, f"{rate:g}", *counts, *_figures(rounds), _in_short(simulated[version, rate])]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def too_often(played: Mapping[Kind, Sequence[RealRound]]) -> Iterator[str]:
    """Say where the judge was wrong more often than it may be, by more than luck, over all traffic."""
    for names, end, what in ((GOOD, End.TAKEN_BACK, "good"), (BAD, End.PROMOTED, "bad")):
        ends = [item.round.end for (version, _), items in played.items() if version in names for item in items]
        times = ends.count(end)
        if ends and 1 - upper_bound(len(ends) - times, len(ends)) > ERROR:
            yield f"{end} in {times} of {len(ends)} canaries of {what} versions"


def _figures(rounds: Sequence[Round]) -> list[str]:
    requests = max(1, sum(item.requests for item in rounds))
    met, failed = sum(item.met for item in rounds) / requests, sum(item.failed for item in rounds) / requests
    return [f"{statistics.median(item.seconds for item in rounds):.0f} s", f"{met:.1%}", f"{failed:.2%}"]


def _in_short(rounds: Sequence[Round]) -> str:
    """Write in which shares simulated canaries ended how, and what is seen of the rest."""
    ends = Counter(item.end for item in rounds)
    shares = " / ".join(f"{ends[end] / max(1, len(rounds)):.0%}" for end in ENDS)
    return ", ".join([shares, *_figures(rounds)])
