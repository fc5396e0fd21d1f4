"""A person at the sandbox's page: what they choose, type, press and see, in a real browser."""

import re
from dataclasses import dataclass, field

from playwright.async_api import Locator, Page, expect

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Nothing but this machine is reached, whoever asks. (To hold each request up and let it go on by Playwright costs a
    # turn of two programs for each, and a request that is lost there leaves the page without its script.)
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
PHONE_WIDTH = 360
# What reaches beyond the edge, and what hides a part of itself to the right; within the components too.
TOO_WIDE = """(message, width) => {
  const within = (one) => [...(one.shadowRoot?.querySelectorAll("*") ?? []), ...one.querySelectorAll("*")];
  const all = (root) => within(root).flatMap((one) => [one, ...(one.shadowRoot ? all(one) : [])]);
  const cut = (one) => getComputedStyle(one).overflowX !== "visible" && one.scrollWidth > one.clientWidth + 1;
  const beyond = (one) => one.getBoundingClientRect().right > width;
  const seen = (one) => one.clientWidth > 0;
  return all(message).filter((one) => seen(one) && (beyond(one) || cut(one))).map((one) => one.outerHTML.slice(0, 99));
}"""
PATIENCE = 60_000.0  # milliseconds


@dataclass
class Visitor:
    """Use the page as its visitors do: by labels, keys and clicks alone."""

    page: Page
    faults: list[str] = field(default_factory=list)

    async def become(self, name: str) -> None:
        """Choose who to be."""
        await self.page.locator("#user").select_option(name)

    async def speak(self, locale: str) -> None:
        """Choose the own language."""
        await self.page.locator("#locale").select_option(locale)

    async def let_server_speak(self, locale: str) -> None:
        """Choose the language of the server, which is the channel's."""
        await self.page.locator("#guild-locale").select_option(locale)

    async def begin(self, command: str) -> None:
        """Type the beginning of a command and take it from the list."""
        line = self.page.locator("#typed")
        await line.fill("")
        await line.press_sequentially(command)
        await expect(self.page.locator("#popup li").first).to_be_visible()
        await line.press("Enter")

    async def fill(self, option: str, text: str, *, take: str = "") -> None:
        """Type into an option; `take` chooses a suggestion instead of what was typed."""
        field = self.option(option)
        await field.click()
        await field.press_sequentially(text)
        if take:
            await self.suggestion(take).click()

    async def send(self) -> None:
        """Send the command."""
        await self.page.locator("#send").click()

    async def run(self, command: str, **options: str) -> None:
        """Type a whole command and send it."""
        await self.begin(command)
        for name, text in options.items():
            await self.fill(name, text)
        await self.send()

    async def deploy(self, version: str) -> None:
        """Ask for a version of dev, and say yes to the plan."""
        await self.run("/deploy", environment="dev", version=version)
        await self.press(await self.sees("Nothing changes until you confirm"), "Deploy")

    def option(self, name: str) -> Locator:
        """Return the field of an option of the command being typed."""
        return self.page.locator("#options label").filter(has_text=re.compile(f"^{re.escape(name)}$")).locator("input")

    def suggestion(self, text: str) -> Locator:
        """Return a row of the list above the command line."""
        return self.page.locator("#popup li").filter(has=self.page.get_by_text(text, exact=True))

    def message(self, *text: str) -> Locator:
        """Return the newest message that shows all these words."""
        found = self.page.locator("discord-message")
        for word in text:
            found = found.filter(has_text=word)
        return found.last

    async def sees(self, *text: str) -> Locator:
        """Wait until a message shows all these words, and return it."""
        found = self.message(*text)
        await expect(found).to_be_visible(timeout=PATIENCE)
        return found

    async def fits_a_phone(self, message: Locator) -> None:
        """Check that nothing of a message, nor of the page, goes beyond the edge of a phone."""
        before = self.page.viewport_size or {"width": 0, "height": 0}
        await self.page.set_viewport_size({"width": PHONE_WIDTH, "height": 700})
        wide = await message.evaluate(TOO_WIDE, PHONE_WIDTH)
        assert wide == [], f"wider than a phone: {wide}"
        main = self.page.locator("main")
        assert await main.evaluate("one => one.scrollWidth - one.clientWidth") <= 0
        assert await self.page.evaluate("document.documentElement.scrollWidth") <= PHONE_WIDTH
        await self.page.set_viewport_size(before)

    async def press(self, message: Locator, label: str) -> None:
        """Press a button of a message."""
        await message.locator("discord-button").filter(has_text=label).click()
