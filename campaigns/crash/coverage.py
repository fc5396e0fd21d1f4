"""Know which step was hit with which victim, and which was not."""

from collections import Counter
from collections.abc import Iterable

from campaigns.crash.playing import Played, Verdict
from campaigns.crash.rounds import Kind, Round


class Coverage:
    """Compare what had to be hit with what was."""

    def __init__(self, wanted: Iterable[Round]) -> None:
        self._wanted = [one for one in wanted if one.kind in {Kind.STEPS, Kind.DAEMON}]
        self._hit: Counter[Round] = Counter()

    def count(self, played: Played) -> None:
        """Count a round that did its harm, however it ended."""
        if played.verdict is not Verdict.MISSED:
            self._hit[played.round] += 1

    @property
    def missing(self) -> tuple[Round, ...]:
        """Return what was never hit."""
        return tuple(one for one in self._wanted if not self._hit[one])

    def __str__(self) -> str:
        return f"{len(self._wanted) - len(self.missing)} of {len(self._wanted)} steps x victims were hit"
