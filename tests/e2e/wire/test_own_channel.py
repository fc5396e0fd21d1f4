"""`dev` has a channel of its own, said in roas.toml: what concerns it lands and works there, and nothing else."""

from pathlib import Path

import pytest

from sandbox.client import SandboxClient
from tests.e2e.wire.command_line import roas
from tests.e2e.wire.test_alerts import kill
from tests.integration.sandbox.channel import ask, button, confirm, press, start

pytestmark = pytest.mark.wire

OWN = "dev-ops"
OUTCOME_SECONDS = 150.0


@pytest.fixture
async def bot_settings(bot_settings: dict[str, str], people: SandboxClient, tmp_path: Path) -> dict[str, str]:
    """Say the channel of `dev` in the file, beside what the environment says."""
    channel = await people.create_channel(OWN)
    state = Path(bot_settings["STATE_DIR"])
    state.mkdir()
    (state / "roas.toml").write_text(f"[environments.dev]\nops_channel_id = {channel}\nneeds_approval = true\n")
    return bot_settings


async def told(people, channel: str, *text: str):
    """Wait for a message in a channel that has all these words."""
    return await people.wait_for_message(
        lambda one: all(word in one.text for word in text), deadline_seconds=OUTCOME_SECONDS, channel=channel
    )


async def test_environment_has_a_channel_of_its_own(bot, bot_settings, people, sandbox, shop, image_ids, long_lane):
    shop.write(alone=True)
    await commands_elsewhere_are_refused_in_words(bot_settings, people, shop)
    await deployments_are_reported_there(people, sandbox, shop, image_ids)
    await alert_lands_and_is_answered_there(bot_settings, people, shop)
    if long_lane:
        await missing_permission_names_it(bot_settings, people)


async def commands_elsewhere_are_refused_in_words(bot_settings, people, shop):
    refused = await ask(people, "dora", "deploy", channel=OWN, environment="prod", version="v1")
    assert f"only works in the ops channel, <#{bot_settings['DISCORD_OPS_CHANNEL_ID']}>" in refused
    assert await suggested(people, "ops") == ["dev", "staging", "prod"]
    assert await suggested(people, OWN) == ["dev"]
    refused = await ask(people, "dora", "deploy", channel="general", environment="dev", version="v1")
    assert "only works in" in refused
    status = await ask(people, "bob", "status", channel=OWN)
    assert "dev" in status
    assert "prod" not in status
    assert shop.containers("dev") == shop.containers("prod") == []


async def deployments_are_reported_there(people, sandbox, shop, image_ids):
    plan = (
        await people.answer(await people.slash("dora", "deploy", channel=OWN, environment="dev", version="v1"))
    ).message
    await confirm(people, "dora", plan)
    wanted = await told(people, OWN, "Approval needed", "dev")
    assert wanted.pinged_roles == [sandbox.roles["approver"]]
    assert "Started" in await press(people, "anna", wanted, "approve")
    await told(people, OWN, "· outcome", "succeeded", "dev")
    assert shop.running("dev") == {"web": image_ids["v1"]}

    await start(people, "hugo", "hotfix", version="v2", reason="it burns")
    await told(people, "ops", "· outcome", "succeeded", "prod")
    assert shop.running("prod") == {"web": image_ids["v2"]}

    assert not any("to dev" in message.text for message in await people.messages("ops"))
    assert not any("to prod" in message.text for message in await people.messages(OWN))
    own = await people.answer(await people.slash("dora", "deploy", channel="ops", environment="dev", version="v2"))
    await confirm(people, "dora", own.message)
    again = await people.wait_for_message(
        lambda one: "Approval needed" in one.text, deadline_seconds=30, channel=OWN, after=wanted
    )
    assert "cancelled" in await press(people, "dora", again, "withdraw")


async def alert_lands_and_is_answered_there(bot_settings, people, shop):
    before = {message.id for message in await people.messages("ops")}
    code, said = await roas(bot_settings, "deploy", "dev", "v2", "--yes", "--reason", "first")
    assert code == 0, said
    await told(people, OWN, "· outcome", "Deploy v2 to dev: succeeded")
    kill(shop, "web")
    alert = await people.wait_for_message(lambda one: button(one, "ack") is not None, deadline_seconds=30, channel=OWN)
    assert "acknowledged" in await press(people, "dora", alert, "ack")
    assert not any("web" in message.text for message in await people.messages("ops") if message.id not in before)


async def missing_permission_names_it(bot_settings, people):
    await people.deny_bot("attach_files", channel=OWN)
    code, said = await roas(bot_settings, "doctor", "dev")
    assert "The bot lacks Attach Files in #dev-ops" in " ".join(said.split()), (code, said)
    code, said = await roas(bot_settings, "doctor", "prod")
    assert "The bot lacks" not in said
    await people.delete_channel(OWN)
    code, said = await roas(bot_settings, "doctor", "dev")
    assert "ENVIRONMENTS__DEV__OPS_CHANNEL_ID" in " ".join(said.split())


async def suggested(people: SandboxClient, channel: str) -> list[str]:
    return [item.value for item in await people.autocomplete("dora", "deploy", "environment", "", channel=channel)]
