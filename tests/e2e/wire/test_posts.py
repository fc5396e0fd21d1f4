"""What the channel is told survives what people and Discord do to it: permissions, faults, kills."""

import pytest

from tests.e2e.wire.conftest import CONNECT_SECONDS
from tests.e2e.wire.test_command_line import roas
from tests.integration.sandbox.channel import ask, button, live, outcome, start

pytestmark = [pytest.mark.wire, pytest.mark.timeout(240)]


async def test_outcome_posted_without_file_and_reply(bot, people, shop):
    """Permissions for both are missing."""
    shop.write(alone=True)
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
    assert len([one for one in await people.messages() if "to dev" in one.text]) == 1
    await people.clear_faults()
    await bot.start()
    await people.wait_until_connected(CONNECT_SECONDS)
    told = await people.wait_for_message(lambda one: "· outcome" in one.text, deadline_seconds=90)
    assert "succeeded" in told.text
    about = [one for one in await people.messages() if "to dev" in one.text]
    assert len(about) == 2


async def test_deleted_message_and_channel_logged_once(bot, bot_settings, people, shop):
    """The news arrives all the same."""
    first = await start(people, "dora", "deploy", environment="dev", version="v1")
    await people.delete_message(await live(people, first, "initialization"))
    assert "succeeded" in (await outcome(people, first)).text
    shown = (await live(people, first, "took")).text
    assert "`store` healthy" in shown
    assert "`web` healthy" in shown
    assert bot.log.read_text().count("a message was deleted and is posted again") == 1
    assert "posted again: 1" in await ask(people, "bob", "status", environment="dev")

    await people.delete_channel()
    code, said = await roas(bot_settings, "deploy", "dev", "v2")
    assert code == 0, said
    code, said = await roas(bot_settings, "doctor")
    assert f"does not see the channel {bot_settings['DISCORD_OPS_CHANNEL_ID']}" in " ".join(said.split())
    assert bot.log.read_text().count("ops channel is not accessible") == 1
    opened = await people.create_channel("ops")
    await bot.stop()
    await bot.start(DISCORD_OPS_CHANNEL_ID=str(opened))
    told = await people.wait_for_message(lambda one: "· outcome" in one.text, deadline_seconds=CONNECT_SECONDS)
    assert "Deploy v2 to dev: succeeded" in told.text
    assert len(await people.messages()) == 2, "old news is told again"
