"""Each command, typed in a channel, does in Docker what the channel then says."""

import pytest

from tests.wire.channel import DEPLOYMENT_ID, approval, ask, button, confirm, live, outcome, press, start

pytestmark = pytest.mark.wire


async def test_deploy_moves_the_stack_and_the_channel_shows_every_phase(bot, people, shop, image_ids):
    deployment_id = await start(people, "dora", "deploy", environment="dev", version="v1")
    told = await outcome(people, deployment_id)
    assert "succeeded" in told.text
    assert shop.running("dev") == {"store": image_ids["v1"], "web": image_ids["v1"]}
    shown = (await live(people, deployment_id, "completion")).text
    for phase in ("initialization", "validation", "preparation", "execution", "verification", "completion"):
        assert phase in shown
    assert "store" in shown
    assert "web" in shown


async def test_a_broken_version_is_rolled_back_by_itself_and_the_channel_says_why(bot, people, shop, image_ids):
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    told = await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v3"))
    assert "rolled back" in told.text
    assert "health check fails" in told.text
    assert told.attachments
    assert shop.running("dev") == {"store": image_ids["v1"], "web": image_ids["v1"]}


async def test_rollback_brings_the_release_before_back(bot, people, shop, image_ids):
    for version in ("v1", "v2"):
        await outcome(people, await start(people, "dora", "deploy", environment="dev", version=version))
    assert shop.running("dev")["web"] == image_ids["v2"]
    told = await outcome(people, await start(people, "dora", "rollback", environment="dev", reason="slow"))
    assert "succeeded" in told.text
    assert shop.running("dev") == {"store": image_ids["v1"], "web": image_ids["v1"]}


async def test_hotfix_needs_its_own_role_and_a_reason_and_then_moves_prod(bot, people, shop, image_ids):
    refused = await ask(people, "dora", "hotfix", version="v2", reason="it burns")
    assert "role" in refused
    assert shop.containers("prod") == []
    told = await outcome(people, await start(people, "hugo", "hotfix", version="v2", reason="it burns"))
    assert "succeeded" in told.text
    assert shop.running("prod") == {"store": image_ids["v2"], "web": image_ids["v2"]}


async def test_status_shows_what_runs(bot, people, shop):
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    answer = await people.answer(await people.slash("bob", "status", environment="dev"))
    assert answer.message is not None
    for text in ("**web** healthy", "**store** healthy", "r1", "Event latency", "Waiting for dependencies"):
        assert text in answer.message.text
    (chart,) = answer.message.attachments
    assert chart["content_type"] == "image/png"
    assert "Chart of the last 20 minutes: 2 services" in chart["description"]


async def test_dry_run_shows_the_plan_and_changes_nothing(bot, people, shop):
    text = await ask(people, "dora", "deploy", environment="dev", version="v1", dry_run=True)
    assert "web" in text
    assert shop.containers("dev") == []


async def test_prod_takes_a_deployment_once_a_second_person_with_the_approver_role_said_yes(
    bot, people, sandbox, shop, image_ids
):
    plan = (await people.answer(await people.slash("anna", "deploy", environment="prod", version="v1"))).message
    assert "A second person has to approve it" in await confirm(people, "anna", plan)
    wanted = await approval(people, "prod")
    assert (wanted.content, wanted.pinged_roles) == (f"<@&{sandbox.roles['approver']}>", [sandbox.roles["approver"]])
    assert "a second person has to approve it" in await press(people, "anna", wanted, "approve")
    refused = await press(people, "dora", wanted, "approve")
    assert f"<@&{sandbox.roles['approver']}>" in refused
    assert shop.containers("prod") == []
    await people.add_user("petra", "approver")
    started = DEPLOYMENT_ID.search(await press(people, "petra", wanted, "approve"))
    told = await outcome(people, started.group())
    assert "succeeded" in told.text
    assert "Approved by" in told.text
    assert shop.running("prod") == {"store": image_ids["v1"], "web": image_ids["v1"]}
    answered = await approval(people, "prod", "Approved")
    assert (answered.id, answered.content, answered.buttons) == (wanted.id, "", [])
    called = [one.id for one in await people.messages() if one.pinged_roles or one.pinged_users]
    assert called == [wanted.id], "the approvers are called once, and nobody else is"


async def test_a_plan_is_void_once_what_it_was_made_of_changed(bot, people, shop):
    plan = (await people.answer(await people.slash("dora", "deploy", environment="dev", version="v1"))).message
    shop.write(web={"environment": {"GREETING": "hello"}})
    assert "void" in await confirm(people, "dora", plan)
    assert shop.containers("dev") == []
    plan = (await people.answer(await people.slash("dora", "deploy", environment="prod", version="v1"))).message
    await confirm(people, "dora", plan)
    wanted = await approval(people, "prod")
    shop.write(web={"environment": {"GREETING": "good morning"}})
    assert "void" in await press(people, "anna", wanted, "approve")
    assert not (await approval(people, "prod", "Void")).buttons
    assert shop.containers("prod") == []


async def test_the_outcomes_button_leads_back_where_the_deployment_came_from(bot, people, shop, image_ids):
    for version in ("v1", "v2"):
        told = await outcome(people, await start(people, "dora", "deploy", environment="dev", version=version))
    clicked = await people.click("dora", told, button(told, "rollback"))
    plan = (await people.answer(clicked, deadline_seconds=30)).message
    started = DEPLOYMENT_ID.search(await confirm(people, "dora", plan))
    assert "succeeded" in (await outcome(people, started.group())).text
    assert shop.running("dev") == {"store": image_ids["v1"], "web": image_ids["v1"]}


async def test_a_locked_environment_takes_no_deployment_until_it_is_unlocked(bot, people, shop):
    await ask(people, "dora", "lock", environment="dev", reason="the fair")
    refused = await ask(people, "dora", "deploy", environment="dev", version="v1")
    assert "locked by Dora" in refused
    assert "the fair" in refused
    assert "the fair" in await ask(people, "bob", "status", environment="dev")
    await ask(people, "dora", "unlock", environment="dev")
    assert (
        "succeeded"
        in (await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))).text
    )


async def test_history_and_logs_show_what_was_done_and_said(bot, people, shop):
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    assert "Deploy v1 to dev" in await ask(people, "bob", "history", environment="dev")
    clicked = await people.slash("dora", "logs", service="web")
    answer = await people.answer(clicked, deadline_seconds=30)
    assert "web" in answer.message.text
    assert [one["filename"] for one in answer.message.attachments] == ["dev-web.log"]


async def test_versions_of_images_that_are_here_are_suggested_before_anything_was_deployed(bot, people, shop):
    versions = await people.autocomplete("dora", "deploy", "version", "v", environment="dev")
    assert {choice.value for choice in versions} >= {"v1", "v2", "v3"}


async def test_a_bystander_may_start_nothing(bot, people, shop):
    assert "role" in await ask(people, "bob", "deploy", environment="dev", version="v1")
    assert shop.containers("dev") == []


async def test_a_second_deployment_is_refused_with_who_since_when_and_what_for(bot, people, shop):
    shop.write(store={"image": f"{shop.repository}:v3"})
    first = await start(people, "dora", "deploy", environment="dev", version="v1")
    refused = await ask(people, "anna", "deploy", environment="dev", version="v2")
    assert "Dora" in refused
    assert "deploy v1" in refused
    assert "since" in refused
    await outcome(people, first)


async def test_the_cancel_button_stops_at_a_safe_point(bot, people, shop, image_ids):
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    shop.write(store={"healthcheck": {"test": ["CMD", "false"], "interval": "60s", "start_period": "60s"}})
    deployment_id = await start(people, "dora", "deploy", environment="dev", version="v2")
    message = await live(people, deployment_id, "waiting")
    button = next(button for button in message.buttons if "cancel" in (button.custom_id or ""))
    await people.answer(await people.click("dora", message, button.custom_id))
    told = await outcome(people, deployment_id)
    assert "cancelled" in told.text
    assert shop.running("dev") == {"store": image_ids["v1"], "web": image_ids["v1"]}


async def test_autocomplete_offers_environments_versions_and_releases(bot, people, shop):
    for version in ("v1", "v2"):
        await outcome(people, await start(people, "dora", "deploy", environment="dev", version=version))
    environments = await people.autocomplete("dora", "deploy", "environment", "")
    assert [choice.value for choice in environments] == ["dev", "staging", "prod"]
    versions = await people.autocomplete("dora", "deploy", "version", "v", environment="dev")
    assert "v1" in [choice.value for choice in versions]
    releases = await people.autocomplete("dora", "rollback", "to", "", environment="dev")
    assert [choice.value for choice in releases] == ["r1"]


async def test_a_wrong_value_is_refused_in_words(bot, people, shop):
    assert "dev" in await ask(people, "dora", "deploy", environment="deev", version="v1")
    assert "version" in (await ask(people, "dora", "deploy", environment="dev", version="a b")).lower()


async def test_sigterm_ends_the_bot_in_order_with_code_zero(bot):
    assert await bot.stop() == 0
