"""The exit code says whether there was a breach; with a planted defect, whether it was seen."""

import pytest

from campaigns.crash.ending import Ending, ending
from campaigns.crash.playing import Played, Verdict
from campaigns.crash.rounds import Kind, Round


def played(*verdicts):
    return [Played(Round(Kind.RANDOM, moment=index / 10), verdict, 1.0, ()) for index, verdict in enumerate(verdicts)]


GOOD, BROKEN, MISSED, UNPLAYED = Verdict.GOOD, Verdict.BROKEN, Verdict.MISSED, Verdict.UNPLAYED
TOLD_TWICE = ("the end of DEPLOY-1 was told 2 times",)


@pytest.mark.parametrize(
    ("rounds", "told_wrongly", "missing", "end"),
    [
        ([GOOD, GOOD], (), 0, Ending.GREEN),
        ([GOOD, MISSED, GOOD], (), 0, Ending.GREEN),
        ([GOOD, BROKEN], (), 0, Ending.RED),
        ([GOOD], TOLD_TWICE, 0, Ending.RED),
        ([GOOD], (), 1, Ending.RED),
        ([GOOD, UNPLAYED], (), 0, Ending.RED),
    ],
)
def test_a_campaign_is_green_only_where_all_was_played_and_ended_well(rounds, told_wrongly, missing, end):
    assert ending("", played(*rounds), told_wrongly, missing) is end


@pytest.mark.parametrize(
    ("rounds", "told_wrongly", "end"),
    [
        ([GOOD, BROKEN], (), Ending.RED),
        ([GOOD], TOLD_TWICE, Ending.RED),
        ([GOOD, GOOD], (), Ending.GREEN),
        ([GOOD, UNPLAYED], (), Ending.GREEN),
        ([UNPLAYED, MISSED], (), Ending.UNPLAYED),
        ([], (), Ending.UNPLAYED),
    ],
)
def test_a_planted_defect_is_red_only_where_it_was_seen_however_much_was_left_out(rounds, told_wrongly, end):
    assert ending("no-fence", played(*rounds), told_wrongly, missing=7) is end
