"""A short soak ends well on a sound bot."""

from pathlib import Path

import pytest

from campaigns.soak.judge import breaches
from campaigns.soak.report import write_report
from campaigns.soak.soaking import soak
from testbed.daemon import PrivateDaemon
from testbed.engine import Engine


async def test_short_soak_of_real_bot_passes(private_daemon: PrivateDaemon, tmp_path: Path) -> None:
    engine = Engine(private_daemon.docker_host, private_daemon)
    seen = await soak(tmp_path, minutes=0.08, every=4.0, engine=engine)
    print(write_report(seen))
    assert breaches(seen) == []
    assert len(seen.work.outcomes) >= 1
    assert seen.work.alerts >= 3
    assert seen.work.kills == 1


@pytest.mark.long
@pytest.mark.timeout(1200)
async def test_long_soak_of_real_bot_passes(private_daemon: PrivateDaemon, tmp_path: Path) -> None:
    engine = Engine(private_daemon.docker_host, private_daemon)
    seen = await soak(tmp_path, minutes=10.0, every=2.0, engine=engine)
    print(write_report(seen))
    assert breaches(seen) == []
    assert seen.work.kills > 1
    assert seen.growth is not None
