"""Whoever clicks does not notice that the bot is killed and started again before every single click."""

import pytest
from playwright.async_api import Locator

from tests.e2e.browser.visitor import Visitor
from tests.e2e.wire.bot_process import BotProcess
from tests.e2e.wire.conftest import CONNECT_SECONDS
from tests.e2e.wire.shop import SERVICE_LABEL

pytestmark = [pytest.mark.wire, pytest.mark.timeout(240)]

PLAN = "Nothing changes until you confirm"


class Clicks:
    """Press buttons; before each, the bot is another process."""

    def __init__(self, bot: BotProcess, people, visitor: Visitor) -> None:
        self.bot = bot
        self.people = people
        self.visitor = visitor

    async def kill(self) -> None:
        await self.bot.kill()
        await self.bot.start()
        await self.people.wait_until_connected(CONNECT_SECONDS)

    async def press(self, who: str, message: Locator, label: str) -> None:
        await self.kill()
        await self.visitor.become(who)
        await self.visitor.press(message, label)


async def test_plan_rollback_and_alert_survive_kills(bot, people, visitor, shop, image_ids):
    """From the plan to the rollback and an alert, nobody notices that the bot was killed."""
    clicks = Clicks(bot, people, visitor)
    await visitor.become("dora")
    await visitor.run("/deploy", environment="prod", version="v1")
    await visitor.press(await visitor.sees(PLAN), "Deploy")
    await visitor.become("anna")
    await visitor.press(await visitor.sees("Approval needed: deploy v1 to prod"), "Approve")
    await visitor.sees("Deploy v1 to prod", "succeeded", "Approved by")

    await visitor.become("dora")
    await visitor.run("/deploy", environment="prod", version="v2")
    await clicks.press("dora", await visitor.sees(PLAN), "Deploy")
    await clicks.press("anna", await visitor.sees("Approval needed: deploy v2 to prod"), "Approve")
    outcome = await visitor.sees("Deploy v2 to prod", "succeeded", "Approved by")
    assert shop.running("prod") == {"store": image_ids["v2"], "web": image_ids["v2"]}

    await clicks.press("dora", outcome, "Roll back to r1")
    await clicks.press("dora", await visitor.sees(PLAN), "Roll back")
    await clicks.press("anna", await visitor.sees("Approval needed: roll back prod to r1"), "Approve")
    await visitor.sees("Roll back prod to r1", "succeeded", "Approved by")
    assert shop.running("prod") == {"store": image_ids["v1"], "web": image_ids["v1"]}

    web = next(one for one in shop.containers("prod") if one.labels[SERVICE_LABEL] == "web")
    web.stop(timeout=1)
    await clicks.press("dora", await visitor.sees("web was stopped manually"), "Acknowledge")
    await visitor.sees("acknowledged by you")
    await visitor.sees("web was stopped manually", "acknowledged")
    posts = [one for one in await people.messages() if "· outcome" in one.text]
    assert len(posts) == 3


async def test_successor_cancels_deployment(bot, people, visitor, shop, image_ids):
    """A deployment is cancelled by a bot that did not run when it began."""
    clicks = Clicks(bot, people, visitor)
    await visitor.become("dora")
    await visitor.deploy("v1")
    await visitor.sees("Deploy v1 to dev", "succeeded")
    await visitor.deploy("v3")
    live = await visitor.sees("Deploy v3 to dev", "execution")
    await clicks.press("dora", live, "Cancel")
    await visitor.sees("Deploy v3 to dev", "cancelled")
    assert shop.running("dev") == {"store": image_ids["v1"], "web": image_ids["v1"]}
