"""A browser on the sandbox's page, which may reach nothing but the sandbox."""

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Request, async_playwright

from sandbox.server import Sandbox
from testbed.waiting import wait_until
from tests.e2e.browser.visitor import CHROMIUM, FLAGS, Visitor
from tests.e2e.wire.conftest import bot_settings, people, sandbox, shop, start_bot

START_SECONDS = 30.0

__all__ = ["bot_settings", "people", "sandbox", "shop", "start_bot"]


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start one browser for all tests, since that takes seconds of a core; returns where it takes orders."""
    if not Path(CHROMIUM).exists():
        # Where nobody reads of what was skipped, what nobody looked at would pass.
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up(f"there is no {CHROMIUM}; script/bootstrap --test installs one")
    profile = tmp_path_factory.mktemp("profile")
    orders = ["--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
    with (profile / "log").open("wb") as log:
        process = subprocess.Popen([CHROMIUM, *FLAGS, *orders], stdout=log, stderr=log)
    try:
        port = profile / "DevToolsActivePort"
        assert wait_until(lambda: port.exists() and "\n" in port.read_text(), START_SECONDS), (
            profile / "log"
        ).read_text()
        yield f"http://127.0.0.1:{port.read_text().splitlines()[0]}"
    finally:
        process.terminate()
        process.wait(START_SECONDS)


@pytest.fixture
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """Give the browser; each test opens a context of its own in it, which shares nothing with others."""
    async with async_playwright() as playwright:
        yield await playwright.chromium.connect_over_cdp(chromium)


@pytest.fixture
async def visitor(browser: Browser, sandbox: Sandbox) -> AsyncIterator[Visitor]:
    """Open the page; a script that breaks or a request that leaves this machine fails the test."""
    context = await browser.new_context(viewport={"width": 1000, "height": 900}, locale="en-US")
    visitor = Visitor(await context.new_page())
    base = sandbox.page_url.partition("/?")[0]

    def stays_here(request: Request) -> None:
        if not request.url.startswith((base, "data:")):
            visitor.faults.append(f"asked for {request.url}")

    visitor.page.on("request", stays_here)
    # Shown by pytest when the test fails.
    visitor.page.on("requestfailed", lambda request: print(f"lost {request.url}: {request.failure}"))
    visitor.page.on("response", lambda answer: answer.ok or print(f"{answer.status} for {answer.url}"))
    visitor.page.on("console", lambda said: print(f"the page's console: {said.text}"))
    visitor.page.on("pageerror", lambda error: visitor.faults.append(str(error)))
    await visitor.page.goto(sandbox.page_url)
    yield visitor
    await context.close()
    assert visitor.faults == []
