"""The bot replaces itself, and there is always exactly one that answers."""

import pytest

from sandbox.asking import asking
from tests.wire.channel import ask, outcome, start

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]


async def test_a_deployment_that_replaces_the_bot_ends_with_one_bot_of_the_new_version(home, people, images):
    first = home.bots()[0].id
    async with asking(people, "status") as somebody:
        deployment_id = await start(people, "dora", "deploy", environment="dev", version="v2")
        told = await outcome(people, deployment_id, seconds=120)
    assert "succeeded" in told.text
    bots = home.bots(stopped=True)
    assert [bot.attrs["Image"] for bot in bots] == [images["v2"]]
    assert bots[0].id != first
    assert "healthy" in await ask(people, "dora", "status", environment="dev")
    assert_answered_once(somebody.reception)


async def test_a_bot_that_does_not_come_up_never_takes_over_and_the_old_one_was_never_away(home, people, images):
    first = home.bots()[0].id
    async with asking(people, "status") as somebody:
        deployment_id = await start(people, "dora", "deploy", environment="dev", version="broken")
        told = await outcome(people, deployment_id, seconds=120)
    assert_answered_once(somebody.reception)
    assert "rolled back" in told.text
    assert "not fit to take over" in told.text
    assert [bot.id for bot in home.bots(stopped=True)] == [first] or [
        bot.attrs["Image"] for bot in home.bots(stopped=True)
    ] == [images["v1"]]
    assert "healthy" in await ask(people, "dora", "status", environment="dev")


async def test_a_rollback_brings_the_older_bot_back_the_same_way(home, people, images):
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v2"), seconds=120)
    told = await outcome(people, await start(people, "dora", "rollback", environment="dev"), seconds=120)
    assert "succeeded" in told.text
    assert [bot.attrs["Image"] for bot in home.bots(stopped=True)] == [images["v1"]]


def assert_answered_once(seen):
    """Show that somebody who asked ten times a second all the time was answered every time, and once."""
    assert len(seen.asked) > 10
    assert (seen.never, seen.twice) == (0, 0)
