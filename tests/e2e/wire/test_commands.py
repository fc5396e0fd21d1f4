"""Each command, typed in a channel, does in Docker what the channel then says."""

import re

import pytest

from tests.e2e.wire.shop import SOON_JUDGED, STAYS
from tests.integration.sandbox.channel import DEPLOYMENT_ID, approval, ask, button, confirm, live, outcome, press, start

pytestmark = pytest.mark.wire
# Three words in a row are a sentence that nobody translated; names and commands have fewer, or marks.
ENGLISH = re.compile(r"[A-Za-z']{2,} [a-z']{2,} [a-z']{2,}")


async def test_story_of_a_stack(bot, people, shop, image_ids, long_lane):
    """There, on, back by the command and by the button, and a version that breaks; each is told as it was."""
    shop.write(store=STAYS)
    v1 = {"store": image_ids["v1"], "web": image_ids["v1"]}
    deployment_id = await start(people, "dora", "deploy", environment="dev", version="v1")
    assert "succeeded" in (await outcome(people, deployment_id)).text
    assert shop.running("dev") == v1
    shown = (await live(people, deployment_id, "completion")).text
    for phase in ("initialization", "validation", "preparation", "execution", "verification", "completion"):
        assert phase in shown
    assert "store" in shown
    assert "web" in shown
    await status_shows_what_runs(people)
    await history_and_logs_show_the_past(people)

    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v2"))
    assert shop.running("dev")["web"] == image_ids["v2"]
    await known_values_are_offered(people)
    told = await outcome(people, await start(people, "dora", "rollback", environment="dev", reason="slow"))
    assert "succeeded" in told.text
    assert shop.running("dev") == v1
    if long_lane:
        await button_goes_back_to_what_ran_before(people)
        assert shop.running("dev") == v1, "the release that ran before, and not the one before today's"

    shop.write(store=STAYS, web=SOON_JUDGED)
    await failure_is_told_in_chinese(people)
    assert shop.running("dev") == v1
    assert await bot.stop() == 0


async def button_goes_back_to_what_ran_before(people):
    told = await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v2"))
    clicked = await people.click("dora", told, button(told, "rollback"))
    plan = (await people.answer(clicked, deadline_seconds=30)).message
    started = DEPLOYMENT_ID.search(await confirm(people, "dora", plan))
    assert "succeeded" in (await outcome(people, started.group())).text


async def failure_is_told_in_chinese(people):
    """In a channel whose language is Chinese, everything about a deployment that fails is Chinese."""
    await people.set_guild_locale("zh-TW")
    for person in ("dora", "bob"):
        await people.set_locale(person, "zh-TW")
    plan = await ask(people, "dora", "deploy", environment="dev", version="v3", dry_run=True)
    failed = await start(people, "dora", "deploy", environment="dev", version="v3")
    told = await outcome(people, failed)
    shown = await live(people, failed, "回滾")
    refused = await ask(people, "dora", "rollback", environment="dev", to="r1")
    status = await ask(people, "bob", "status", environment="dev")
    assert "失敗，已回滾" in told.text
    assert "失敗：健康檢查失敗。" in told.text
    assert told.attachments
    assert "dev 已經是 r1。" in refused
    texts = {"plan": plan, "outcome": told.text, "live": shown.text, "refusal": refused, "status": status}
    assert {name: found for name, text in texts.items() if (found := english_in(text))} == {}, texts


def english_in(text: str) -> list[str]:
    """Return what is English, but for logs and names in a fixed font."""
    return ENGLISH.findall(re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL))


async def status_shows_what_runs(people):
    answer = await people.answer(await people.slash("bob", "status", environment="dev"))
    assert answer.message is not None
    for text in ("**web** healthy", "**store** healthy", "r1", "Event latency", "Dependency resolution time"):
        assert text in answer.message.text
    (chart,) = answer.message.attachments
    assert chart["content_type"] == "image/png"
    assert "Chart of the last hour: 2 services" in chart["description"]


async def history_and_logs_show_the_past(people):
    assert "Deploy v1 to dev" in await ask(people, "bob", "history", environment="dev")
    clicked = await people.slash("dora", "logs", service="web")
    answer = await people.answer(clicked, deadline_seconds=30)
    assert "web" in answer.message.text
    assert [attachment["filename"] for attachment in answer.message.attachments] == ["dev-web.log"]


async def known_values_are_offered(people):
    """Environments, versions and releases are offered."""
    environments = await people.autocomplete("dora", "deploy", "environment", "")
    assert [choice.value for choice in environments] == ["dev", "staging", "prod"]
    versions = await people.autocomplete("dora", "deploy", "version", "v", environment="dev")
    assert "v1" in [choice.value for choice in versions]
    releases = await people.autocomplete("dora", "rollback", "to", "", environment="dev")
    assert [choice.value for choice in releases] == ["r1"]


async def test_what_is_refused_changes_nothing(bot, people, sandbox, shop, image_ids):
    """Nothing runs until all said yes who have to, to the plan as it is; then it can still be cancelled."""
    shop.write(alone=True)
    await nothing_runs_without_permission(people, shop)
    await newer_draft_voids_older(people, shop)
    await prod_deploy_needs_approver(people, sandbox, shop, image_ids)
    await hotfix_needs_its_role(people, shop, image_ids)
    await deployment_is_alone_until_cancelled(people, shop, image_ids)


async def nothing_runs_without_permission(people, shop):
    """Versions of local images are offered before anything was deployed."""
    versions = await people.autocomplete("dora", "deploy", "version", "v", environment="dev")
    assert {choice.value for choice in versions} >= {"v1", "v2", "v3"}
    assert "web" in await ask(people, "dora", "deploy", environment="dev", version="v1", dry_run=True)
    assert "role" in await ask(people, "bob", "deploy", environment="dev", version="v1")
    assert "dev" in await ask(people, "dora", "deploy", environment="deev", version="v1")
    assert "version" in (await ask(people, "dora", "deploy", environment="dev", version="a b")).lower()
    await ask(people, "dora", "lock", environment="dev", reason="the fair")
    refused = await ask(people, "dora", "deploy", environment="dev", version="v1")
    assert "locked by Dora" in refused
    assert "the fair" in refused
    assert "the fair" in await ask(people, "bob", "status", environment="dev")
    assert shop.containers("dev") == []
    await ask(people, "dora", "unlock", environment="dev")


async def newer_draft_voids_older(people, shop):
    """What changes in files is no part of a draft; another draft of the environment takes its place."""
    wanted = await drafted(people, "v1")
    shop.write(alone=True, web={"environment": {"GREETING": "good morning"}})
    newer = await drafted(people, "v2", not_before=wanted.id)
    void = await approval(people, "prod", "Void")
    assert (void.id, void.buttons) == (wanted.id, [])
    assert "cancelled" in await press(people, "dora", newer, "withdraw")
    assert shop.containers("prod") == []


async def drafted(people, version: str, *, not_before: int = 0):
    """Confirm a plan for prod, and return the message that asks for the approval of its draft."""
    plan = (await people.answer(await people.slash("dora", "deploy", environment="prod", version=version))).message
    await confirm(people, "dora", plan)

    def asks(message) -> bool:
        return "Approval needed" in message.text and int(message.id) > int(not_before)

    return await people.wait_for_message(asks, deadline_seconds=60)


async def prod_deploy_needs_approver(people, sandbox, shop, image_ids):
    before = await called(people)
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
    assert "approved by" in told.text
    assert shop.running("prod") == {"web": image_ids["v1"]}
    answered = await approval(people, "prod", "Approved")
    assert (answered.id, answered.content, answered.buttons) == (wanted.id, "", [])
    assert await called(people) == [*before, wanted.id], "the approvers are called once, and nobody else is"


async def called(people) -> list[int]:
    """Return the messages that pinged anybody."""
    return [message.id for message in await people.messages() if message.pinged_roles or message.pinged_users]


async def hotfix_needs_its_role(people, shop, image_ids):
    refused = await ask(people, "dora", "hotfix", version="v2", reason="it burns")
    assert "role" in refused
    assert shop.running("prod") == {"web": image_ids["v1"]}
    typed = await people.slash("hugo", "hotfix", version="v2")
    assert (await people.answer(typed)).modal is not None, "a reason is asked for"
    answered = await people.answer(await people.submit(typed, reason="it burns"), deadline_seconds=60)
    told = await outcome(people, DEPLOYMENT_ID.search(answered.message.text).group())
    assert "succeeded" in told.text
    assert shop.running("prod") == {"web": image_ids["v2"]}


async def deployment_is_alone_until_cancelled(people, shop, image_ids):
    """A second one is refused, which says who holds the deployment lock, since when and for what."""
    told = await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    assert "succeeded" in told.text
    ill = {"healthcheck": {"test": ["CMD", "false"], "interval": "60s", "start_period": "60s"}}
    shop.write(alone=True, web=ill)
    deployment_id = await start(people, "dora", "deploy", environment="dev", version="v2")
    message = await live(people, deployment_id, "waiting")
    refused = await ask(people, "anna", "deploy", environment="dev", version="v2")
    assert "Dora" in refused
    assert "deploy v2" in refused
    assert "since" in refused
    assert "was asked to stop" in await press(people, "dora", message, "cancel", reason="wrong branch")
    told = await outcome(people, deployment_id)
    assert "cancelled" in told.text
    assert "wrong branch" in told.text
    assert shop.running("dev") == {"web": image_ids["v1"]}
