"""A browser on the sandbox's page, which may reach nothing but the sandbox."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Route, async_playwright

from sandbox.server import Sandbox
from tests.browser.visitor import CHROMIUM, FLAGS, Visitor
from tests.wire.conftest import bot, bot_settings, people, sandbox, shop

__all__ = ["bot", "bot_settings", "people", "sandbox", "shop"]


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Start a browser of its own."""
    if not Path(CHROMIUM).exists():
        # Where nobody reads of what was skipped, what nobody looked at would pass.
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up(f"there is no {CHROMIUM}; script/bootstrap --test installs one")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        await browser.close()


@pytest.fixture
async def visitor(browser: Browser, sandbox: Sandbox) -> AsyncIterator[Visitor]:
    """Open the page; a script that breaks or a request that leaves this machine fails the test."""
    context = await browser.new_context(viewport={"width": 1000, "height": 900}, locale="en-US")
    visitor = Visitor(await context.new_page())
    base = sandbox.page_url.partition("/?")[0]

    async def stay_here(route: Route) -> None:
        if route.request.url.startswith((base, "data:")):
            await route.continue_()
            return
        visitor.faults.append(f"asked for {route.request.url}")
        await route.abort()

    await context.route("**/*", stay_here)
    visitor.page.on("pageerror", lambda error: visitor.faults.append(str(error)))
    await visitor.page.goto(sandbox.page_url)
    yield visitor
    await context.close()
    assert visitor.faults == []
