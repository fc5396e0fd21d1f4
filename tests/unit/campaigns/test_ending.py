"""The exit code says whether there was a breach; with a planted defect, whether it was seen."""

import pytest

from tools.campaigns.crash.exit_code import ExitCode, exit_code
from tools.campaigns.crash.playing import Played, Verdict
from tools.campaigns.crash.rounds import Kind, Round


def played(*verdicts):
    return [Played(Round(Kind.RANDOM, moment=index / 10), verdict, 1.0, ()) for index, verdict in enumerate(verdicts)]


GOOD, BROKEN, MISSED, UNPLAYED = Verdict.GOOD, Verdict.BROKEN, Verdict.MISSED, Verdict.UNPLAYED
POSTED_TWICE = ("the outcome of DEPLOY-1 was posted 2 times",)


@pytest.mark.parametrize(
    ("rounds", "wrong_notifications", "missing", "end"),
    [
        ([GOOD, GOOD], (), 0, ExitCode.GREEN),
        ([GOOD, MISSED, GOOD], (), 0, ExitCode.GREEN),
        ([GOOD, BROKEN], (), 0, ExitCode.RED),
        ([GOOD], POSTED_TWICE, 0, ExitCode.RED),
        ([GOOD], (), 1, ExitCode.RED),
        ([GOOD, UNPLAYED], (), 0, ExitCode.RED),
        ([Verdict.ENGINE, GOOD], (), 0, ExitCode.GREEN),
        ([Verdict.ENGINE], (), 1, ExitCode.RED),
    ],
)
def test_campaign_passes_only_if_complete_and_clean(rounds, wrong_notifications, missing, end):
    assert exit_code("", played(*rounds), wrong_notifications, missing) is end


@pytest.mark.parametrize(
    ("rounds", "wrong_notifications", "end"),
    [
        ([GOOD, BROKEN], (), ExitCode.RED),
        ([GOOD], POSTED_TWICE, ExitCode.RED),
        ([GOOD, GOOD], (), ExitCode.GREEN),
        ([GOOD, UNPLAYED], (), ExitCode.GREEN),
        ([UNPLAYED, MISSED], (), ExitCode.UNPLAYED),
        ([], (), ExitCode.UNPLAYED),
    ],
)
def test_planted_defect_fails_only_if_detected(rounds, wrong_notifications, end):
    assert exit_code("no-fence", played(*rounds), wrong_notifications, missing=7) is end
