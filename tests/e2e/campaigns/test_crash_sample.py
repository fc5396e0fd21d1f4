"""A few rounds of the crash campaign on a real engine: whoever is killed in a handover, all of it ends well."""

import pytest

from tools.campaigns.crash.campaign import TRIES
from tools.campaigns.crash.lane import Lane, opened_lane
from tools.campaigns.crash.playing import Played, Verdict, clean_run, play
from tools.campaigns.crash.points import Point, Role, Victim
from tools.campaigns.crash.rounds import Kind, Round, Script, random_rounds

SEED = 2
CARRIED_ON = Point(Role.SUCCESSOR, "execution: phase in_progress", "after")
# One that no other test plays: both die once the new bot leads.
ROUNDS = (Round(Kind.STEPS, point=CARRIED_ON, victim=Victim.BOTH),)
# What the long lane plays as well; `python -m tools.campaigns.crash` plays for hours.
MORE_ROUNDS = tuple(random_rounds(20, SEED))


@pytest.mark.parametrize(
    "rounds",
    [ROUNDS, pytest.param(MORE_ROUNDS, marks=[pytest.mark.long, pytest.mark.timeout(3600)])],
    ids=["sample", "more"],
)
async def test_crash_rounds_leave_one_bot_and_outcome(tmp_path_factory, building_engine, rounds):
    with opened_lane("sample", tmp_path_factory.mktemp("lane"), on=building_engine.private) as lane:
        async with lane.gate:
            await lane.start()
            if rounds is MORE_ROUNDS:  # a bad version that nobody disturbs is taken back in other tests, too
                await clean_run(lane, Script.REVERT)
            for wanted in rounds:
                played = await _play(lane, wanted)
                assert played.verdict is Verdict.GOOD, str(played)  # whole: pytest cuts what is no text
            assert await lane.wrong_notifications() == ()


async def _play(lane: Lane, wanted: Round) -> Played:
    """Play a round; again, as the campaign does, where its moment came after the end of the deployment."""
    for _ in range(TRIES):
        played = await play(lane, wanted)
        if played.verdict is not Verdict.MISSED:
            break
    return played
