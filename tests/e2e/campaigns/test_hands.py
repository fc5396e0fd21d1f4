"""A round of the campaign of hands, and a few of its races, played."""

from pathlib import Path

import pytest

from testbed.engine import Engine
from tools.campaigns.crash.playing import Verdict
from tools.campaigns.hands.ground import opened_ground
from tools.campaigns.hands.playing import play
from tools.campaigns.hands.races import races, run_races
from tools.campaigns.hands.rounds import Hand, Kind, Moment, Round

# The campaign is strict about 60 s; this test may share its machine with others.
PATIENT_SECONDS = 180.0

# It deploys, so that there is a release that the bot watches when the hand comes.
SAMPLE = Round(Hand.DOCKER_PAUSE_WEB, Moment.AFTER, Kind.GOOD)


@pytest.mark.timeout(600)
async def test_hands_leave_a_stack_that_is_well(
    tmp_path_factory: pytest.TempPathFactory, building_engine: Engine
) -> None:
    with opened_ground(tmp_path_factory.mktemp("hands"), on=building_engine.private) as ground:
        await ground.lane.start()
        played = await play(ground, SAMPLE, well_seconds=PATIENT_SECONDS)
    assert played.verdict is Verdict.GOOD, str(played)  # whole: pytest cuts what is no text
    assert played.outcome == "succeeded"


@pytest.mark.timeout(600)
@pytest.mark.long
async def test_races_with_compose_leave_one_release(tmp_path: Path) -> None:
    assert await run_races(tmp_path, races(seed=1, number=6), lanes=2, results=tmp_path / "results")
