"""What is asked for on the command line is carried by the bot, and shows in the channel like any other."""

import pytest

from tests.e2e.wire.command_line import roas
from tests.e2e.wire.shop import STAYS
from tests.integration.sandbox.channel import ask, live, outcome, start

pytestmark = pytest.mark.wire


@pytest.mark.long
async def test_command_line_deploy_shown_in_channel(bot, bot_settings, people, shop, image_ids):
    """The bot carries it out; and where none lives, the next one posts what the command line carried out itself.

    It posts in the channel that there is by then: what was deleted meanwhile is logged once, and old news is no news.
    """
    shop.write(store=STAYS)
    code, said = await roas(bot_settings, "deploy", "dev", "v1")
    assert code == 0, said
    assert "in the bot" in said
    deployment_id = said.partition("Started ")[2].split()[0]
    assert "succeeded" in (await outcome(people, deployment_id)).text
    assert "completion" in (await live(people, deployment_id, "completion")).text
    assert shop.running("dev") == {"store": image_ids["v1"], "web": image_ids["v1"]}
    await deleted_message_is_posted_again(bot, people)
    await deleted_channel_is_named(bot, bot_settings, people)
    opened = await people.create_channel("ops")
    assert await bot.stop() == 0
    code, said = await roas(bot_settings, "deploy", "dev", "v2")
    assert code == 0, said
    assert "in the bot" not in said
    deployment_id = said.partition("Started ")[2].split()[0].rstrip(".")
    await bot.start(DISCORD_OPS_CHANNEL_ID=str(opened))
    assert "Deploy v2 to dev: succeeded" in (await outcome(people, deployment_id)).text
    assert shop.running("dev") == {"store": image_ids["v1"], "web": image_ids["v2"]}
    posted = [message.text for message in await people.messages() if "to dev" in message.text]
    assert len(posted) == 4, "what nobody saw is told once, and old news is not"


async def deleted_message_is_posted_again(bot, people):
    """The news arrives all the same."""
    first = await start(people, "dora", "deploy", environment="dev", version="v2")
    await people.delete_message(await live(people, first, "initialization"))
    assert "succeeded" in (await outcome(people, first)).text
    shown = (await live(people, first, "took")).text
    assert "`store`" in shown
    assert "`web` healthy" in shown
    assert bot.log.read_text().count("a message was deleted and is posted again") == 1
    assert "posted again: 1" in await ask(people, "bob", "status", environment="dev")


async def deleted_channel_is_named(bot, bot_settings, people):
    await people.delete_channel()
    code, said = await roas(bot_settings, "deploy", "dev", "v1")
    assert code == 0, said
    code, said = await roas(bot_settings, "doctor")
    assert f"does not see the channel {bot_settings['DISCORD_OPS_CHANNEL_ID']}" in " ".join(said.split())
    assert bot.log.read_text().count("ops channel is not accessible") == 1
