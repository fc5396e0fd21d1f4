"""The bot dies in the middle of a deployment to a Swarm: the next one follows what goes on, and runs no job again.

`python -m tools.campaigns.swarm` plays each step.
"""

import pytest

from tools.campaigns.swarm.rounds import Played

pytestmark = pytest.mark.engine


def test_killed_after_writes_is_followed(deaths: list[Played]) -> None:
    """One bot dies while a job goes on, the next during the update: no job runs again, and Swarm keeps its way back."""
    played = deaths[0]
    assert (played.ended.outcome, played.wrong) == ("succeeded", ())


@pytest.mark.long
def test_job_that_failed_while_no_bot_lived_has_failed(deaths: list[Played]) -> None:
    """It is not run anew: the next bot says that it failed, and goes back, which runs the old one."""
    played = deaths[1]
    assert (played.ended.outcome, played.wrong) == ("rolled_back", ())
