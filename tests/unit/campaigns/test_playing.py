"""A round that did no harm proves nothing, and counts as one whose moment never came."""

import asyncio
from types import SimpleNamespace

import pytest

from testbed.compose_labels import SERVICE_LABEL
from testbed.home_stack import BOT_SERVICE
from tools.campaigns.crash.facts import ContainerFacts
from tools.campaigns.crash.lane import Lane
from tools.campaigns.crash.playing import Verdict, play
from tools.campaigns.crash.points import Point, Role, Victim
from tools.campaigns.crash.rounds import Kind, Round

POINT = Point(Role.PREDECESSOR, "execution: create_service store", "before")
BEYOND_ANY_PID = 2**31 - 1


class QuietLane:
    """A lane on which everything goes well, and whose bots are not there any more when they are to be hit."""

    length_seconds = 0.0
    mark = None

    def __init__(self, state_dir, bot=None):
        self.state_dir = state_dir
        self._bot = bot
        self.reader = SimpleNamespace(look=lambda mark: SimpleNamespace(deployments=()))
        self.gate = SimpleNamespace(arm=self._arm, release=lambda: None)

    def _arm(self, wanted):
        held = asyncio.get_running_loop().create_future()
        held.set_result(None)
        return held

    def bot(self, role):
        return self._bot

    def other_version(self):
        return "v2"

    async def wait_until_asked(self): ...

    async def wait_until_idle(self): ...

    async def begin(self): ...

    async def deploy(self, version): ...

    async def settle(self, killed, seconds):
        return 0.1, ()


@pytest.mark.parametrize("kind", [Kind.STEPS, Kind.RANDOM, Kind.HANGS, Kind.USURPED])
async def test_round_with_missing_victim_is_missed(tmp_path, kind):
    played = await play(QuietLane(tmp_path), Round(kind, point=POINT, victim=Victim.PREDECESSOR))
    assert played.verdict is Verdict.MISSED


async def test_round_with_dead_victim_is_missed(tmp_path):
    dead = ContainerFacts("1", "home-discord-bot-1", "running", "healthy", "roas-bot:v1", BEYOND_ANY_PID)
    played = await play(QuietLane(tmp_path, dead), Round(Kind.STEPS, point=POINT, victim=Victim.PREDECESSOR))
    assert played.verdict is Verdict.MISSED


async def test_takeover_without_effect_is_missed(tmp_path, monkeypatch):
    monkeypatch.setattr("tools.campaigns.crash.faults.signal_all", lambda *_given: True)
    played = await play(QuietLane(tmp_path), Round(Kind.USURPED, point=POINT, victim=Victim.PREDECESSOR))
    assert played.verdict is Verdict.MISSED


LEFT_SHIM = "failed to create task: failed to start shim: mkdir /run/task/roas-t0/b1f9: file exists: unknown"


@pytest.mark.parametrize(
    ("error", "others", "unstarted"),
    [
        (LEFT_SHIM, (), 1),
        (LEFT_SHIM, ("running",), 0),
        ("", (), 0),
        ("failed to start shim: no space left on device", (), 0),
    ],
)
def test_only_engine_that_leaves_all_bots_ended_by_its_own_fault_excuses(error, others, unstarted):
    bots = [ContainerFacts("1", "bot-1", "exited", "", "v1", 0, labels={SERVICE_LABEL: BOT_SERVICE}, error=error)]
    bots += [ContainerFacts("2", "bot-2", state, "", "v1", 7, labels={SERVICE_LABEL: BOT_SERVICE}) for state in others]
    lane = Lane("lane", None, None, None, SimpleNamespace(containers=lambda: bots), None, {})
    assert len(lane.unstarted()) == unstarted
