"""A sample of `canary.real`: a good version and a bad one, each with users of its own, at the same time."""

import asyncio
from dataclasses import replace
from pathlib import Path

from roas.app.application import open_application
from roas.metrics.bot_metrics import Metrics
from testbed.daemon import PrivateDaemon
from tools.campaigns.canary.ground import Ground, Lane, ground
from tools.campaigns.canary.playing import POLICY, VERSIONS, End, Version
from tools.campaigns.canary.real_round import RealRound, begin, play_round

SHORT = replace(POLICY, pause_seconds=2.0, deadline_seconds=60.0, times=None)
RATE = 100
GOOD, *_, BAD = (version for version in VERSIONS if version.name in {"0 %", "20 %"})


async def test_good_version_is_promoted_and_bad_one_is_not(private_daemon: PrivateDaemon, tmp_path: Path) -> None:
    with ground(tmp_path, (GOOD, BAD), SHORT, 2, private_daemon) as found:
        good, bad = await play_both(found)
    assert [played.wrong for played in (good, bad)] == ["", ""]
    assert (good.round.end, bad.round.end) == (End.PROMOTED, End.TAKEN_BACK), (good, bad)
    assert (good.round.failed, good.reason) == (0, "")
    assert good.round.seconds >= len(SHORT.shares) * SHORT.pause_seconds
    assert 0 < bad.round.failed <= bad.round.met < bad.round.requests
    assert "its new version is worse" in bad.reason


async def play_both(found: Ground) -> list[RealRound]:
    busy = asyncio.Semaphore(2)
    async with open_application(found.settings, metrics=Metrics("canary")) as opened:

        async def play(lane: Lane, version: Version) -> RealRound:
            await begin(opened, lane)
            return await play_round(opened, lane, version, RATE, version.name, busy)

        return await asyncio.gather(*(play(*pair) for pair in zip(found.lanes, (GOOD, BAD), strict=True)))
