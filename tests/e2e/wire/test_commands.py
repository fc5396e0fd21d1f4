"""Each command, typed in a channel, does in Docker what the channel then says."""

import pytest

from tests.integration.sandbox.channel import DEPLOYMENT_ID, approval, ask, button, confirm, live, outcome, press, start

pytestmark = pytest.mark.wire


async def test_deploy_moves_stack_and_shows_phases(bot, people, shop, image_ids):
    deployment_id = await start(people, "dora", "deploy", environment="dev", version="v1")
    told = await outcome(people, deployment_id)
    assert "succeeded" in told.text
    assert shop.running("dev") == {"store": image_ids["v1"], "web": image_ids["v1"]}
    shown = (await live(people, deployment_id, "completion")).text
    for phase in ("initialization", "validation", "preparation", "execution", "verification", "completion"):
        assert phase in shown
    assert "store" in shown
    assert "web" in shown


async def test_broken_version_rolled_back_with_reason(bot, people, shop, image_ids):
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    told = await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v3"))
    assert "rolled back" in told.text
    assert "health check fails" in told.text
    assert told.attachments
    assert shop.running("dev") == {"store": image_ids["v1"], "web": image_ids["v1"]}


async def test_rollback_restores_previous_release(bot, people, shop, image_ids):
    for version in ("v1", "v2"):
        await outcome(people, await start(people, "dora", "deploy", environment="dev", version=version))
    assert shop.running("dev")["web"] == image_ids["v2"]
    told = await outcome(people, await start(people, "dora", "rollback", environment="dev", reason="slow"))
    assert "succeeded" in told.text
    assert shop.running("dev") == {"store": image_ids["v1"], "web": image_ids["v1"]}


async def test_hotfix_needs_role_and_reason(bot, people, shop, image_ids):
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
    for text in ("**web** healthy", "**store** healthy", "r1", "Event latency", "Dependency resolution time"):
        assert text in answer.message.text
    (chart,) = answer.message.attachments
    assert chart["content_type"] == "image/png"
    assert "Chart of the last 20 minutes: 2 services" in chart["description"]


async def test_dry_run_changes_nothing(bot, people, shop):
    text = await ask(people, "dora", "deploy", environment="dev", version="v1", dry_run=True)
    assert "web" in text
    assert shop.containers("dev") == []


async def test_prod_deploy_needs_approver(bot, people, sandbox, shop, image_ids):
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


async def test_changed_plan_is_void(bot, people, shop):
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


async def test_outcome_button_rolls_back_to_source(bot, people, shop, image_ids):
    for version in ("v1", "v2"):
        told = await outcome(people, await start(people, "dora", "deploy", environment="dev", version=version))
    clicked = await people.click("dora", told, button(told, "rollback"))
    plan = (await people.answer(clicked, deadline_seconds=30)).message
    started = DEPLOYMENT_ID.search(await confirm(people, "dora", plan))
    assert "succeeded" in (await outcome(people, started.group())).text
    assert shop.running("dev") == {"store": image_ids["v1"], "web": image_ids["v1"]}


async def test_frozen_environment_refused_until_unlocked(bot, people, shop):
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


async def test_history_and_logs_show_past(bot, people, shop):
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    assert "Deploy v1 to dev" in await ask(people, "bob", "history", environment="dev")
    clicked = await people.slash("dora", "logs", service="web")
    answer = await people.answer(clicked, deadline_seconds=30)
    assert "web" in answer.message.text
    assert [one["filename"] for one in answer.message.attachments] == ["dev-web.log"]


async def test_local_image_versions_suggested_initially(bot, people, shop):
    """They are suggested before anything was deployed."""
    versions = await people.autocomplete("dora", "deploy", "version", "v", environment="dev")
    assert {choice.value for choice in versions} >= {"v1", "v2", "v3"}


async def test_bystander_may_start_nothing(bot, people, shop):
    assert "role" in await ask(people, "bob", "deploy", environment="dev", version="v1")
    assert shop.containers("dev") == []


async def test_second_deployment_refused_with_lock_details(bot, people, shop):
    """The refusal says who holds the deployment lock, since when and for what."""
    shop.write(store={"image": f"{shop.repository}:v3"})
    first = await start(people, "dora", "deploy", environment="dev", version="v1")
    refused = await ask(people, "anna", "deploy", environment="dev", version="v2")
    assert "Dora" in refused
    assert "deploy v1" in refused
    assert "since" in refused
    await outcome(people, first)


async def test_cancel_button_stops_at_safe_point(bot, people, shop, image_ids):
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    shop.write(store={"healthcheck": {"test": ["CMD", "false"], "interval": "60s", "start_period": "60s"}})
    deployment_id = await start(people, "dora", "deploy", environment="dev", version="v2")
    message = await live(people, deployment_id, "waiting")
    button = next(button for button in message.buttons if "cancel" in (button.custom_id or ""))
    await people.answer(await people.click("dora", message, button.custom_id))
    told = await outcome(people, deployment_id)
    assert "cancelled" in told.text
    assert shop.running("dev") == {"store": image_ids["v1"], "web": image_ids["v1"]}


async def test_autocomplete_offers_known_values(bot, people, shop):
    """Environments, versions and releases are offered."""
    for version in ("v1", "v2"):
        await outcome(people, await start(people, "dora", "deploy", environment="dev", version=version))
    environments = await people.autocomplete("dora", "deploy", "environment", "")
    assert [choice.value for choice in environments] == ["dev", "staging", "prod"]
    versions = await people.autocomplete("dora", "deploy", "version", "v", environment="dev")
    assert "v1" in [choice.value for choice in versions]
    releases = await people.autocomplete("dora", "rollback", "to", "", environment="dev")
    assert [choice.value for choice in releases] == ["r1"]


async def test_invalid_value_explained(bot, people, shop):
    assert "dev" in await ask(people, "dora", "deploy", environment="deev", version="v1")
    assert "version" in (await ask(people, "dora", "deploy", environment="dev", version="a b")).lower()


async def test_sigterm_exits_with_code_0(bot):
    assert await bot.stop() == 0
