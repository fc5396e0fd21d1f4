"""What the channel is told survives what people and Discord do to it: permissions, faults, kills."""

import pytest

from tests.e2e.wire.conftest import CONNECT_SECONDS
from tests.e2e.wire.shop import SOON_JUDGED
from tests.integration.sandbox.channel import ask, button, outcome, start

pytestmark = pytest.mark.wire


@pytest.mark.long
async def test_outcome_posted_without_file_and_reply(bot, people, shop):
    """Permissions for both are missing."""
    shop.write(alone=True, web=SOON_JUDGED)
    await people.deny_bot("attach_files", "read_message_history")
    told = await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v3"))
    assert "failed" in told.text
    assert told.attachments == []
    said = await ask(people, "bob", "status", environment="dev")
    assert "The bot lacks Attach Files, Read Message History there" in said
    assert bot.log.read_text().count("permission missing in the ops channel") == 1


async def test_next_bot_posts_lost_messages_once(bot, people, shop):
    """What was posted unheard, or not at all, before the bot was killed."""
    shop.write(alone=True)
    await people.deny_bot("read_message_history")  # so that the nonce alone says what was posted
    post = {"method": "POST", "path": "/channels/*/messages", "status": 503}
    await people.add_fault(**post, performed=True)
    await people.add_fault(**post, times=1000)
    plan = (await people.answer(await people.slash("dora", "deploy", environment="dev", version="v1"))).message
    await people.click("dora", plan, button(plan, "confirm"))
    await people.wait_for_request(lambda one: one.get("status") == 503, deadline_seconds=30)
    await bot.kill()
    assert len([message for message in await people.messages() if "to dev" in message.text]) == 1
    await people.clear_faults()
    await bot.start()
    await people.wait_until_connected(CONNECT_SECONDS)
    told = await people.wait_for_message(lambda one: "· outcome" in one.text, deadline_seconds=90)
    assert "succeeded" in told.text
    about = [message for message in await people.messages() if "to dev" in message.text]
    assert len(about) == 1
