"""The bot dies in the middle of a deployment to a Swarm: the next one follows what goes on, and runs no job again.

`python -m campaigns.swarm` plays each step.
"""

from collections.abc import Iterator

import pytest

from campaigns.swarm.ground import FAILING_JOB, STACK, Ground, ground_on
from campaigns.swarm.rounds import Kind, Round, first_run, play
from testbed.private_registry import PrivateRegistry
from testbed.swarm import Swarm

pytestmark = [pytest.mark.engine, pytest.mark.timeout(200)]
JOB_WRITTEN = f"after execution: update services {STACK}_migrate"
WEB_WRITTEN = f"after execution: update services {STACK}_web"


@pytest.fixture(scope="module")
def ground(swarm: Swarm, registry: PrivateRegistry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Give the stack of the campaign on these nodes, with v1 deployed."""
    with ground_on(swarm, registry, tmp_path_factory.mktemp("campaign") / "ground", "shop") as made:
        first_run(made)
        yield made


def test_killed_after_writes_is_followed(ground: Ground) -> None:
    """One bot dies while a job goes on, the next during the update: no job runs again, and Swarm keeps its way back."""
    played = play(ground, Round(Kind.BOT, JOB_WRITTEN, again=WEB_WRITTEN))
    assert (played.ended.outcome, played.wrong) == ("succeeded", ())


def test_job_that_failed_while_no_bot_lived_has_failed(ground: Ground) -> None:
    """It is not run anew: the next bot says that it failed, and goes back, which runs the old one."""
    played = play(ground, Round(Kind.BOT, JOB_WRITTEN, FAILING_JOB))
    assert (played.ended.outcome, played.wrong) == ("rolled_back", ())
