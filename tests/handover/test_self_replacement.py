"""The bot replaces itself, and there is always exactly one that answers."""

import pytest

from sandbox.asking import asking
from tests.handover.conftest import other_version
from tests.wire.channel import ask, outcome, start

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]


async def test_a_deployment_replaces_the_bot_and_a_rollback_brings_the_older_one_back_the_same_way(
    home, people, images
):
    first, version = home.bots()[0], other_version(home, images)
    async with asking(people, "status") as somebody:
        deployment_id = await start(people, "dora", "deploy", environment="dev", version=version)
        told = await outcome(people, deployment_id)
    assert_answered_once(somebody.reception)
    assert "succeeded" in told.text
    bots = home.bots(stopped=True)
    assert [bot.attrs["Image"] for bot in bots] == [images[version]]
    assert bots[0].id != first.id
    assert "healthy" in await ask(people, "dora", "status", environment="dev")
    told = await outcome(people, await start(people, "dora", "rollback", environment="dev"))
    assert "succeeded" in told.text
    assert [bot.attrs["Image"] for bot in home.bots(stopped=True)] == [first.attrs["Image"]]
    assert "healthy" in await ask(people, "dora", "status", environment="dev")


async def test_a_bot_that_does_not_come_up_never_takes_over_and_the_old_one_was_never_away(home, people):
    first = home.bots()[0].id
    async with asking(people, "status") as somebody:
        deployment_id = await start(people, "dora", "deploy", environment="dev", version="exits")
        told = await outcome(people, deployment_id)
    assert_answered_once(somebody.reception)
    assert "rolled back" in told.text
    assert "not fit to take over" in told.text
    assert [bot.id for bot in home.bots(stopped=True)] == [first]
    assert "healthy" in await ask(people, "dora", "status", environment="dev")


def assert_answered_once(seen):
    """Show that somebody who asked ten times a second all the time was answered every time, once and within 3 s."""
    assert len(seen.asked) > 10
    assert (seen.never, seen.twice, seen.late) == (0, 0, 0)
