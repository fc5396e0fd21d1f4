"""The page shows the channel and its commands as Discord would, and lets a visitor be anybody in it."""

import re

import aiohttp
import pytest
from playwright.async_api import Error, expect

from testbed.compose_labels import SERVICE_LABEL
from tests.e2e.browser.visitor import PATIENCE

# How many pixels are between the words of an element and the text after it.
BLANK_AFTER = """one => {
  const [own, next] = [one, one.nextSibling].map((node) => {
    const range = document.createRange();
    range.selectNodeContents(node);
    return range.getBoundingClientRect();
  });
  return next.left - own.right;
}"""
pytestmark = pytest.mark.wire


async def test_page_before_and_with_a_bot(visitor, sandbox, start_bot, shop, image_ids, long_lane):
    """One visit: without a bot, in the visitor's language; then a deployment by clicks.

    In the long lane, one that fails, and an alert. All the while the page reaches nobody but this machine.
    """
    await lost_answer_leaves_no_empty_page(visitor)
    await page_uses_visitor_language(visitor)
    await markdown_is_drawn_as_in_client(visitor, sandbox)
    await impossible_time_is_shown_as_written(visitor, sandbox)
    await start_bot()
    await ephemeral_message_is_private_and_goes(visitor)
    await deployment_by_clicks(visitor, shop, image_ids)
    if long_lane:
        await one_that_fails(visitor, shop, image_ids)
        await in_chinese(visitor, shop, image_ids)
    await browser_reaches_nobody_but_this_machine(visitor)


async def lost_answer_leaves_no_empty_page(visitor):
    """Nothing happens after it, so no event makes the page look once more; without a script, nobody would."""
    people = visitor.page.locator("#user option").first
    await expect(people).to_be_attached()
    for lost in ("control/state", "control/events", "page/page.js", "page/draw.js"):
        await visitor.page.route(f"**/{lost}", lambda route: route.fulfill(status=503), times=1)
        await visitor.page.reload()
        await expect(people, lost).to_be_attached(timeout=PATIENCE)
        await expect(visitor.page.locator("#told")).to_be_hidden()


async def page_uses_visitor_language(visitor):
    await visitor.speak("zh-TW")
    await expect(visitor.page.locator("#connection")).to_have_text("沒有機器人連線")
    await visitor.speak("en-US")
    await expect(visitor.page.locator("#connection")).to_have_text("no bot is connected")


async def markdown_is_drawn_as_in_client(visitor, sandbox):
    channel = f"https://discord.com/channels/{sandbox.guild_id}/{sandbox.ops_channel_id}"
    shown = f"**my\\_app** is at {channel} since <t:0:T>"
    message = {"embeds": [{"title": "my\\_app fails", "description": shown}]}
    headers = {"Authorization": f"Bot {sandbox.bot_token}"}
    url = f"{sandbox.api_url}/channels/{sandbox.ops_channel_id}/messages"
    async with aiohttp.ClientSession(headers=headers) as session, session.post(url, json=message) as answer:
        assert answer.status == 200, await answer.text()
    said = await visitor.sees("my_app fails", "my_app is at")
    text = said.locator("discord-embed-description .text")
    await expect(text).to_have_text(re.compile(r"^my_app is at # ops since \d+:00:00.[AP]M$"))
    assert await said.locator("strong").evaluate(BLANK_AFTER) < 1, "there is a blank too many after bold words"
    assert (await text.locator("a").get_attribute("href")).startswith("#"), "the channel's address leads away from it"


async def impossible_time_is_shown_as_written(visitor, sandbox):
    """Alerts from outside may hold one; the page draws it, and what comes after it."""
    headers = {"Authorization": f"Bot {sandbox.bot_token}"}
    url = f"{sandbox.api_url}/channels/{sandbox.ops_channel_id}/messages"
    times = [f"<t:99999999999999999:{style}>" for style in "tTdDfFR"]
    async with aiohttp.ClientSession(headers=headers) as session:
        for content in (f"from {' '.join(times)} on", "afterwards"):
            async with session.post(url, json={"content": content}) as answer:
                assert answer.status == 200, await answer.text()
    said = await visitor.sees("from", "on")
    await expect(said).to_contain_text(times[-1])
    await visitor.sees("afterwards")


async def browser_reaches_nobody_but_this_machine(visitor):
    with pytest.raises(Error, match="ERR_NAME_NOT_RESOLVED"):
        await visitor.page.goto("http://192.0.2.1/")
    assert visitor.faults == ["asked for http://192.0.2.1/"]
    await visitor.page.close()  # a page that failed is asked for again after a while
    visitor.faults.clear()


async def deployment_by_clicks(visitor, shop, image_ids):
    await visitor.become("dora")
    await visitor.begin("/dep")
    await visitor.fill("environment", "de", take="dev")
    await visitor.fill("version", "v1")
    await visitor.send()
    plan = await visitor.sees("Nothing changes until you confirm")
    await visitor.fits_a_phone(plan)
    await visitor.press(plan, "Deploy")
    await visitor.fits_a_phone(await visitor.sees("Deploy v1 to dev", "initialization"))
    await visitor.sees("Deploy v1 to dev", "succeeded")
    assert shop.running("dev") == {"store": image_ids["v1"], "web": image_ids["v1"]}


async def one_that_fails(visitor, shop, image_ids):
    await visitor.deploy("v3")
    report = await visitor.sees("Deploy v3 to dev", "rolled back")
    await expect(report).to_contain_text("health check fails")
    await expect(report.locator(".file a")).to_have_count(1)
    await expect(report.locator(".file pre")).not_to_be_empty()
    await visitor.fits_a_phone(report)
    assert shop.running("dev") == {"store": image_ids["v1"], "web": image_ids["v1"]}


async def in_chinese(visitor, shop, image_ids):
    """Production, which awaits a second person, and an alert, which somebody acknowledges."""
    await visitor.let_server_speak("zh-TW")
    await visitor.speak("zh-TW")
    await visitor.become("dora")
    await visitor.begin("/部署")
    await visitor.fill("環境", "pr", take="prod")
    await visitor.fill("版本", "v2")
    await visitor.send()
    await visitor.press(await visitor.sees("你確認之前不會有任何變更", "prod"), "部署")
    wanted = "需要核准：將 v2 部署到 prod"
    await visitor.press(await visitor.sees(wanted), "核准")
    await visitor.sees("你沒有權限這麼做")
    assert shop.running("prod") == {}

    await visitor.become("anna")
    await visitor.press(await visitor.sees(wanted), "核准")
    live = await visitor.sees("將 v2 部署到 prod", "初始化")
    await expect(live).to_contain_text("健康檢查通過")
    await visitor.sees("將 v2 部署到 prod", "成功", "核准")
    assert set(shop.running("prod").values()) == {image_ids["v2"]}
    await visitor.become("dora")
    await visitor.run("/回滾", 環境="staging")
    await visitor.sees("沒有成功", "沒有與它不同的發行版本")

    web = next(container for container in shop.containers("dev") if container.labels[SERVICE_LABEL] == "web")
    web.stop(timeout=1)
    await visitor.press(await visitor.sees("web 被手動停止"), "認領")
    await visitor.sees("由你負責處理")
    await visitor.sees("web 被手動停止", "已認領")


async def ephemeral_message_is_private_and_goes(visitor):
    """It is seen by one alone, until that one dismisses it; the locale of who asks is not the server's."""
    await visitor.become("bob")
    await visitor.run("/deploy", environment="dev", version="v1")
    refused = await visitor.sees("You may not do this")
    await visitor.become("dora")
    await expect(refused).to_have_count(0)
    await visitor.become("bob")
    await (await visitor.sees("You may not do this")).get_by_text("Dismiss message").click()
    await expect(refused).to_have_count(0)
    await visitor.run("/status")
    await visitor.sees("dev: nothing runs")
    await expect(refused).to_have_count(0)
    await phone_fits_width_and_stays_at_end(visitor)
    await visitor.speak("zh-TW")
    await visitor.run("/狀態", 環境="dev")
    await visitor.sees("dev: 沒有任何服務在執行")
    await visitor.speak("en-US")


async def phone_fits_width_and_stays_at_end(visitor) -> None:
    """A phone shows the whole page without scrolling sideways, and stays at its end."""
    before = visitor.page.viewport_size
    await visitor.page.set_viewport_size({"width": 360, "height": 700})
    for _time in range(3):
        await visitor.run("/status")
        await visitor.sees("dev: nothing runs")
    newest = visitor.page.locator("discord-message").last
    await expect(newest).to_be_in_viewport(timeout=10_000)
    assert await visitor.page.evaluate("document.documentElement.scrollWidth") <= 360
    main = visitor.page.locator("main")
    assert await main.evaluate("one => one.scrollWidth - one.clientWidth") <= 0
    await expect(visitor.page.locator("#typed")).to_be_in_viewport()
    await visitor.page.set_viewport_size(before)


async def test_page_without_token_shows_nothing(sandbox):
    base = sandbox.page_url.partition("?")[0]
    async with aiohttp.ClientSession() as session:
        async with session.get(base) as answer:
            assert answer.status == 401
        async with session.get(sandbox.page_url, headers={"Host": "evil.example"}, allow_redirects=False) as answer:
            assert answer.status == 403
        async with session.get(
            sandbox.page_url, headers={"Origin": "http://evil.example"}, allow_redirects=False
        ) as answer:
            assert answer.status == 403
