"""A kill in the middle of a replacement behind a proxy leaves all whole; `campaigns/requests` says what that is."""

import random
from pathlib import Path

from campaigns.requests.crash import crash
from campaigns.requests.scene import scene
from testbed.daemon import PrivateDaemon

RATE = 20
# The bot and the proxy at once, while the old containers drain or while a person is asked: chance decides which.
KINDS = (0, 1)


def test_kill_in_a_replacement_leaves_all_whole(private_daemon: PrivateDaemon, tmp_path: Path) -> None:
    with scene(tmp_path, proxy="HAProxy", replicas=2, engine=private_daemon) as found:
        assert crash(found, 1, RATE, first=random.choice(KINDS)) == []
