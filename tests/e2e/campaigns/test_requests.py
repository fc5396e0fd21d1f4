"""Kills in the middle of a replacement behind a proxy leave all whole; `campaigns/requests` says what that is."""

from pathlib import Path

from campaigns.requests.crash import crash
from campaigns.requests.scene import scene
from testbed.daemon import PrivateDaemon

KILLS, RATE = 2, 20


def test_kills_while_draining_leave_all_whole(private_daemon: PrivateDaemon, tmp_path: Path) -> None:
    with scene(tmp_path, proxy="HAProxy", replicas=2, engine=private_daemon) as found:
        assert crash(found, KILLS, RATE) == []
