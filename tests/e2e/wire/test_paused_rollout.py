"""A rollout that pauses asks in the channel; its buttons work for those who may, and after the bot was killed."""

import asyncio
import re

import pytest

from sandbox.views import Message
from testbed.compose_labels import of_service
from tests.e2e.wire.conftest import COMMANDS, CONNECT_SECONDS
from tests.e2e.wire.shop import REPOSITORY
from tests.integration.sandbox.channel import ask, button, live, outcome, press, start

pytestmark = [pytest.mark.wire, pytest.mark.timeout(400)]

PAUSING = {"replicas": 2, "update_config": {"parallelism": 1, "failure_action": "pause", "order": "start-first"}}


async def question(people, deployment_id: str, number: int, *, waits: bool = True) -> Message:
    """Wait for the message that asks about a pause, with buttons, or for what became of it, without."""

    def asks(message: Message) -> bool:
        return f"{deployment_id} · pause {number}" in message.text and bool(message.buttons) is waits

    return await people.wait_for_message(asks, deadline_seconds=90.0)


def images(shop) -> list[str]:
    """Return the images of the web's containers, those that are well."""
    web = of_service(shop.containers("dev"), "web")
    return sorted(item.attrs["Image"] for item in web if item.attrs["State"]["Health"]["Status"] == "healthy")


@pytest.fixture(scope="session")
def doomed(sample_image) -> str:
    """Make a version that ends at once, which takes no probes to tell; return it."""
    sample_image(f"{REPOSITORY}:ends", version="ends", behaviour="exits")
    return "ends"


async def paused(people, version: str) -> str:
    """Deploy what does not come up, and return the deployment that pauses."""
    deployment_id = await start(people, "dora", "deploy", environment="dev", version=version, services="web")
    await question(people, deployment_id, 1)
    return deployment_id


async def test_paused_rollout_asks_until_it_is_decided(bot, people, shop, image_ids, doomed):
    """It is rolled back by a button, and by a cancel; and goes on by those of a bot that was killed."""
    shop.write(alone=True, web={"deploy": PAUSING})
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    await button_rolls_back(people, shop, image_ids, await paused(people, doomed))
    await cancelling_rolls_back(people, shop, image_ids, await paused(people, doomed))
    await buttons_of_a_killed_bot_work(bot, people, shop, image_ids, await paused(people, doomed))


async def button_rolls_back(people, shop, image_ids, paused: str) -> None:
    asked = await question(people, paused, 1)
    assert "1 of 2 new replicas failed" in asked.text
    assert images(shop) == [image_ids["v1"]] * 2, "the old one of the failed replica goes on"
    assert "paused" in (await live(people, paused, "paused")).text
    assert "it waits for" in await ask(people, "bob", "status", environment="dev")
    assert "It is paused" in await ask(people, "dora", "deploy", environment="dev", version="v2")
    assert "one of these roles is needed" in await press(people, "bob", asked, "take-back")
    both = await asyncio.gather(
        *(press(people, who, asked, "take-back", reason="it stinks") for who in ("anna", "dora"))
    )
    late, first = sorted(both, key=lambda told: "is rolled back" in told)
    assert "is rolled back" in first
    assert re.search("was decided already: (Anna|Dora) rolled it back", late), late
    told = await outcome(people, paused)
    assert "rolled back" in told.text
    assert images(shop) == [image_ids["v1"]] * 2
    assert "rolled it back.\n> it stinks" in (await question(people, paused, 1, waits=False)).text


async def cancelling_rolls_back(people, shop, image_ids, paused: str) -> None:
    await ask(people, "dora", "cancel", environment="dev")
    told = await outcome(people, paused)
    assert "cancelled" in told.text
    assert images(shop) == [image_ids["v1"]] * 2


async def buttons_of_a_killed_bot_work(bot, people, shop, image_ids, paused: str) -> None:
    """Whoever takes over waits as well; each pause has its own question, and what was accepted stays accepted."""
    first = await question(people, paused, 1)
    assert "resumes" in await press(people, "dora", first, "go-on")
    second = await question(people, paused, 2)
    assert button(await question(people, paused, 1, waits=False), "go-on") is None
    await bot.kill()
    await bot.start()
    await people.wait_for_commands(*COMMANDS, deadline_seconds=CONNECT_SECONDS)
    await people.wait_until_connected(CONNECT_SECONDS)
    assert images(shop) == [image_ids["v1"]] * 2
    assert "resumes" in await press(people, "dora", second, "go-on")
    told = await outcome(people, paused)
    assert "succeeded" in told.text
    assert "2 of 2 new replicas of web failed" in told.text
    assert "attempt" not in (await live(people, paused, "took")).text, "waiting for a person is no attempt"
