"""What the channel is told survives what people and Discord do to it: permissions, faults, kills."""

import pytest

from tests.wire.channel import ask, outcome, start
from tests.wire.conftest import CONNECT_SECONDS

pytestmark = [pytest.mark.wire, pytest.mark.timeout(240)]


async def test_an_outcome_without_the_permission_for_its_file_or_its_reply_is_told_all_the_same(bot, people, shop):
    await people.deny_bot("attach_files", "read_message_history")
    told = await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v3"))
    assert "failed" in told.text
    assert told.attachments == []
    said = await ask(people, "bob", "status", environment="dev")
    assert "The bot lacks Attach Files, Read Message History there" in said
    assert bot.log.read_text().count("a permission is missing in the ops channel") == 1


async def test_what_could_not_be_posted_before_the_bot_was_killed_is_posted_once_by_the_next(bot, people, shop):
    await people.add_fault(method="POST", path="/channels/*/messages", status=503, times=1000)
    plan = (await people.answer(await people.slash("dora", "deploy", environment="dev", version="v1"))).message
    custom_id = next(one.custom_id for one in plan.buttons if ":confirm:" in one.custom_id)
    await people.click("dora", plan, custom_id)
    await people.wait_for_request(lambda one: one.get("status") == 503, deadline_seconds=30)
    await bot.kill()
    await people.clear_faults()
    await bot.start()
    await people.wait_until_connected(CONNECT_SECONDS)
    told = await people.wait_for_message(lambda one: "· outcome" in one.text, deadline_seconds=90)
    assert "succeeded" in told.text
    about = [one for one in await people.messages() if "to dev" in one.text]
    assert len(about) == 2
