"""Track which of the planned rounds injected their fault, and which did not."""

from collections import Counter
from collections.abc import Iterable

from tools.campaigns.crash.playing import Played, Verdict
from tools.campaigns.crash.rounds import Kind, Round


class Coverage:
    """Compare what had to be hit with what was."""

    def __init__(self, wanted: Iterable[Round]) -> None:
        self._wanted = tuple(wanted)
        self._hit: Counter[Round] = Counter()

    def count(self, played: Played) -> None:
        """Count a round that injected its fault, however it ended."""
        if played.verdict in {Verdict.GOOD, Verdict.BROKEN}:
            self._hit[played.round] += 1

    @property
    def missing(self) -> tuple[Round, ...]:
        """Return what was never hit."""
        return tuple(item for item in self._wanted if not self._hit[item])

    def wanted(self, kind: Kind) -> int:
        """Return how many rounds of a kind there had to be."""
        return sum(1 for item in self._wanted if item.kind is kind)

    def __str__(self) -> str:
        return f"{len(self._wanted) - len(self.missing)} of {len(self._wanted)} planned rounds injected their fault"
