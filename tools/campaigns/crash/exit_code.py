"""Map the result of a campaign to its exit code."""

from collections.abc import Sequence
from enum import IntEnum

from tools.campaigns.crash.playing import Played, Verdict


class ExitCode(IntEnum):
    """What the command line returns; with a planted defect, RED is the good result."""

    GREEN = 0
    RED = 1
    # Nothing can be said of the defect that was planted: the campaign itself did not get so far.
    UNPLAYED = 2


def exit_code(plant: str, played: Sequence[Played], wrong_notifications: Sequence[str], missing: int) -> ExitCode:
    """Judge a campaign: any breach is red, and so is what was left out, unless a defect was to be seen."""
    verdicts = {item.verdict for item in played}
    if Verdict.BROKEN in verdicts or wrong_notifications:
        return ExitCode.RED
    if plant:
        return ExitCode.UNPLAYED if verdicts <= {Verdict.UNPLAYED, Verdict.MISSED, Verdict.ENGINE} else ExitCode.GREEN
    return ExitCode.RED if missing or Verdict.UNPLAYED in verdicts else ExitCode.GREEN
