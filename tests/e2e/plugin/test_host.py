"""Somebody else's bot loads the cogs: of two processes one is silent, all of it, until its turn comes."""

import signal

import pytest

from sandbox.client import SandboxClient
from sandbox.views import Message
from testbed.stopping import stop_process
from tests.e2e.plugin.conftest import Hosts
from tests.unit.ui.story import until

pytestmark = pytest.mark.wire

READY, REMINDER = "At your service", "Drink some water"
TURN_SECONDS = 5.0


async def said(people: SandboxClient) -> list[str]:
    """Return all that was said in the channel by the bots."""
    return [message.content for message in await people.messages() if not message.content.startswith("!")]


async def hears(people: SandboxClient, text: str, times: int) -> None:
    """Wait until something was said so often."""

    async def often() -> bool:
        return (await said(people)).count(text) >= times

    await until(often, TURN_SECONDS)


async def asked_for_commands(people: SandboxClient) -> int:
    """Return how often Discord was asked for the commands, or told of them."""
    return sum(request["path"].endswith("/commands") for request in await people.requests())


async def asked_for_more_commands(people: SandboxClient, known: int) -> bool:
    return await asked_for_commands(people) > known


async def make_use_of_everything(people: SandboxClient, newcomer: str) -> Message:
    """Do all that a host reacts to, and return a message with one of its buttons."""
    await people.say("bob", "!greet")
    await people.add_user(newcomer)
    hello = await people.answer(await people.slash("bob", "hello"))
    assert hello.message is not None
    assert hello.message.content == "Hello!"
    await people.answer(await people.click("bob", hello.message, "greetings:wave"))
    await hears(people, f"Welcome, {newcomer.capitalize()}", 1)
    return hello.message


async def test_standby_host_takes_over_without_login(hosts: Hosts, people: SandboxClient):
    """On standby it answers nothing."""
    first = await hosts.start()
    await hears(people, REMINDER, 1)
    await people.wait_for_commands("hello", "deploy")
    known = await asked_for_commands(people)
    second = await hosts.start()
    button = await make_use_of_everything(people, "carl")
    assert sorted(await said(people)) == sorted([READY, REMINDER, "Good day!", "Hello!", "Bob waves", "Welcome, Carl"])
    assert [(item.answers, item.refused) for item in await people.asked("bob")] == [(1, 0)] * 2  # nor even tried
    assert (await people.state())["identified"] == 2
    assert await asked_for_commands(people) == known  # nothing is synced, nor compared, out of turn

    # What comes while the first one is dying is answered by the other, once.
    stop_process(first.pid)
    asked = await people.slash("bob", "hello")
    await first.kill()
    answer = await people.answer(asked)
    assert answer.error is None
    assert answer.acknowledged_after is not None
    assert answer.acknowledged_after < 3.0
    await hears(people, READY, 2)
    await hears(people, REMINDER, 2)
    await until(lambda: asked_for_more_commands(people, known), TURN_SECONDS)

    await people.answer(await people.click("bob", button, "greetings:wave"))
    await make_use_of_everything(people, "dave")
    assert (await said(people))[6:].count(READY) == 1
    assert sorted((await said(people))[6:]) == sorted(
        [READY, REMINDER, "Hello!", "Good day!", "Hello!", "Bob waves", "Bob waves", "Welcome, Dave"]
    )
    assert [item.answers for item in await people.asked("bob")] == [1] * 6
    assert (await people.state())["identified"] == 2
    assert await second.stop(signal.SIGINT) == 0


async def test_host_hands_over_and_leads_again(hosts: Hosts, people: SandboxClient):
    """A host that hands leadership over stops answering, and leads again when it has to."""
    first = await hosts.start()
    leader = hosts.leader()
    second = await hosts.start()
    (successor,) = hosts.living(but={leader})
    hosts.transfer_lease(successor)
    await until(lambda: "this bot is on standby" in first.log.read_text())  # at once: it transfers leadership itself
    await hears(people, READY, 2)
    await make_use_of_everything(people, "carl")
    assert sorted(await said(people)) == sorted(
        [READY, READY, REMINDER, REMINDER, "Good day!", "Hello!", "Bob waves", "Welcome, Carl"]
    )

    # The first one goes on where it was: it was ready all the time, and is not told so again.
    assert await second.stop(signal.SIGINT) == 0
    await until(lambda: first.log.read_text().count("this bot leads now") == 2)
    await people.answer(await people.slash("bob", "hello"))  # its turn has begun where this is answered
    await make_use_of_everything(people, "dave")
    assert sorted((await said(people))[8:]) == sorted(["Hello!", "Good day!", "Hello!", "Bob waves", "Welcome, Dave"])
    assert (await people.state())["identified"] == 2
