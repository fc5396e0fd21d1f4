"""A sample of `requests`: what serves goes on serving, whatever replaces it, and a kill leaves all whole."""

from pathlib import Path

import pytest

from testbed.daemon import PrivateDaemon
from tools.campaigns.requests.crash import KINDS as EVERY_KIND
from tools.campaigns.requests.crash import crash
from tools.campaigns.requests.scene import scene
from tools.campaigns.requests.table import IN_DRAIN, Case, play

RATE = 20
# The bot and the proxy at once, while the old containers drain, or while a person is asked; nobody, while the new
# container crashes again and again.
LOOPING = len(EVERY_KIND) - 1
KINDS = [0, pytest.param(1, marks=pytest.mark.long), pytest.param(LOOPING, marks=pytest.mark.long)]
# One at a time one serves; what crashes or fails soon after its start gives the requests back.
CASES = (
    Case("stop-first", 1, 2, "good", streams=False),
    Case("start-first", 0, 2, "crashes after 3 s", streams=True),
    Case("start-first", 0, 2, "fails after 3 s", streams=False),
    Case("start-first", 0, 2, IN_DRAIN, streams=True),
)


@pytest.mark.parametrize("kind", KINDS)
def test_kill_in_a_replacement_leaves_all_whole(private_daemon: PrivateDaemon, tmp_path: Path, kind: int) -> None:
    with scene(tmp_path, proxy="HAProxy", replicas=2, engine=private_daemon) as found:
        assert crash(found, 1, RATE, first=kind) == []


@pytest.mark.long
@pytest.mark.parametrize("case", CASES)
def test_what_serves_goes_on_serving(private_daemon: PrivateDaemon, tmp_path: Path, case: Case) -> None:
    with scene(tmp_path, proxy="HAProxy", replicas=2, engine=private_daemon, observation_seconds=5.0) as found:
        played = play(found, case, RATE)
        assert not played.wrong, played
