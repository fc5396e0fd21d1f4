"""Whoever is killed while the bot replaces itself: in the end there is one bot, and the deployment has one end."""

import signal

import pytest

from testbed.container_processes import hit
from testbed.home_stack import IMAGE
from tests.handover.bad_versions import make_version
from tests.wire.channel import ask, outcome, start

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

END_SECONDS = 60.0
HASTY = True


@pytest.fixture(scope="module")
def good(client, images) -> str:
    """Make a second good version."""
    return make_version(client, images["v1"], f"{IMAGE}:good", "good")


async def test_a_bot_killed_before_its_successor_is_there_leaves_one_bot_and_one_end(home, people, images, good):
    deployment_id = await start(people, "dora", "deploy", environment="dev", version="good")
    hit(home.bots()[0], signal.SIGKILL)
    told = await outcome(people, deployment_id, seconds=END_SECONDS)
    succeeded = "succeeded" in told.text
    assert succeeded or "rolled back" in told.text
    bots = home.bots(stopped=True)
    assert [bot.attrs["Image"] for bot in bots] == [good if succeeded else images["v1"]]
    assert bots[0].status == "running"
    assert "healthy" in await ask(people, "dora", "status", environment="dev")
    ends = [m for m in await people.messages() if f"{deployment_id} · outcome" in m.text]
    assert len(ends) == 1
