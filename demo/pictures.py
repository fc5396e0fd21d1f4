"""`python -m demo.pictures`: take the README's pictures from the sandbox's page while the sample stack is deployed."""

import asyncio
import io
import re
import sys
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser, FloatRect, Locator, Page, async_playwright, expect

from demo.drawn import TEXTS, all_texts
from demo.home import start_bot
from demo.processes import ROOT, start_sandbox
from demo.stage import ENVIRONMENT, Stage
from roas.concurrency import begun
from testbed.engine import find_or_start_engine

FOLDER = ROOT / "docs" / "pictures"
CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
WIDTH, HEIGHT, LITTLE = 720, 1300, 300
# Scroll to a message, and wait until that is drawn.
SHOW = "message => { message.scrollIntoView(); return new Promise(done => setTimeout(done, 300)); }"
PATIENCE = 90_000.0  # milliseconds
MOVING_WIDTH, MOVING_HEIGHT, COLOURS = 560, 760, 64
FRAME_MILLISECONDS, LONGEST_MILLISECONDS, LAST_MILLISECONDS = 400, 1200, 4000
PRODUCTION = "prod"


@dataclass
class Photographer:
    """Do at the page what the pictures show."""

    page: Page

    async def become(self, name: str) -> None:
        """Act as another person."""
        await self.page.locator("#user").select_option(name)

    async def type(self, command: str, *values: str) -> None:
        """Type a command and its first options, without sending it."""
        line = self.page.locator("#typed")
        await line.press_sequentially(f"/{command}")
        await self.page.locator("#popup li").first.wait_for()
        await line.press("Enter")
        for option, value in zip(await self.page.locator("#options input").all(), values, strict=False):
            await option.fill(value)

    async def send(self) -> None:
        """Send the command."""
        await self.page.locator("#send").click()

    async def see(self, *text: str | re.Pattern[str]) -> Locator:
        """Wait for the newest message with this text."""
        found = self.page.locator("discord-message")
        for word in text:
            found = found.filter(has_text=word)
        await expect(found.last).to_be_visible(timeout=PATIENCE)
        # By its id from now on: its text keeps changing.
        message_id = await found.last.evaluate("message => message.dataset.messageId")
        return self.page.locator(f'[data-message-id="{message_id}"]')

    async def press(self, message: Locator, label: str) -> None:
        """Press a button."""
        await message.locator("discord-button").filter(has_text=label).first.click()

    async def deploy(self, version: str, environment: str = ENVIRONMENT) -> None:
        """Ask for a version and confirm the plan."""
        await self.type("deploy", environment, version)
        await self.send()
        await self.press(await self.see("The plan expires"), "Deploy")

    async def picture(self, name: str, *messages: Locator) -> None:
        """Take a picture of the page, or of some messages under each other."""
        path = FOLDER / f"{name}.png"
        if not messages:
            await self.page.screenshot(path=path)
            return
        await messages[0].evaluate(SHOW)
        boxes = [box for box in [await message.bounding_box() for message in messages] if box is not None]
        top = min(box["y"] for box in boxes)
        bottom = max(box["y"] + box["height"] for box in boxes)
        await self.page.screenshot(path=path, clip={"x": 0, "y": top, "width": WIDTH, "height": bottom - top})


@dataclass
class Recorder:
    """Record what the page shows as a moving picture, in which what does not move is short."""

    page: Page
    frames: list[bytes] = field(default_factory=list)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Keep a frame every FRAME_MILLISECONDS until it is stopped."""
        while not self.stopped.is_set():
            clip = FloatRect(x=0, y=HEIGHT - MOVING_HEIGHT, width=WIDTH, height=MOVING_HEIGHT)
            self.frames.append(await self.page.screenshot(clip=clip))
            await self.page.wait_for_timeout(FRAME_MILLISECONDS)

    def save(self, name: str) -> None:
        """Write the frames, each that is like the one before as more time for that one."""
        shown: list[Image.Image] = []
        times: list[int] = []
        for before, frame in zip([b"", *self.frames], self.frames, strict=False):
            if frame == before:
                times[-1] = min(times[-1] + FRAME_MILLISECONDS, LONGEST_MILLISECONDS)
                continue
            picture = Image.open(io.BytesIO(frame)).convert("RGB")
            size = (MOVING_WIDTH, picture.height * MOVING_WIDTH // picture.width)
            shown.append(picture.resize(size, Image.Resampling.LANCZOS).quantize(COLOURS))
            times.append(FRAME_MILLISECONDS)
        times[-1] = LAST_MILLISECONDS
        shown[0].save(
            FOLDER / f"{name}.gif", save_all=True, append_images=shown[1:], duration=times, loop=0, optimize=True
        )


async def take(browser: Browser, stage: Stage, page_url: str) -> None:
    """Take every picture, one deployment after the other."""
    page = await browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, locale="en-US")
    await page.goto(page_url)
    camera = Photographer(page)
    await camera.become("dora")
    await camera.deploy("v1")
    await camera.see(f"Deploy v1 to {ENVIRONMENT}", "succeeded")
    recorder = Recorder(page)
    async with begun(recorder.run()) as recording:
        await _move_on(camera, stage)
        await _fail(camera, stage)
        recorder.stopped.set()
        await recording
    recorder.save("demo")
    await _approve(camera)
    await _show_plan(camera)
    await _in_chinese(camera)


async def _move_on(camera: Photographer, stage: Stage) -> None:
    stage.write_greeting("Greetings from v2!")
    await camera.type("deploy", ENVIRONMENT, "v2")
    await camera.send()
    plan = await camera.see("The plan expires")
    await camera.picture("plan", plan)
    await camera.press(plan, "Deploy")
    live = await camera.see(f"Deploy v2 to {ENVIRONMENT}", "🔄 verification")
    await camera.picture("deployment", live)
    await camera.see(f"Deploy v2 to {ENVIRONMENT}", "succeeded")


async def _fail(camera: Photographer, stage: Stage) -> None:
    stage.write_greeting("v3 was here.")
    await camera.deploy("v3")
    await camera.picture("rolled-back", await camera.see(f"Deploy v3 to {ENVIRONMENT}", "was rolled back"))


async def _approve(camera: Photographer) -> None:
    for version in ("v1", "v2"):
        await camera.become("dora")
        await camera.deploy(version, PRODUCTION)
        wanted = await camera.see(f"Approval needed: Deploy {version} to {PRODUCTION}")
        await camera.become("anna")
        await camera.picture("approval", wanted)  # the second stays: it says what changes
        await camera.press(wanted, "Approve")
        await camera.see(f"Deploy {version} to {PRODUCTION}", "succeeded")


async def _show_plan(camera: Photographer) -> None:
    """Type a command, and ask how it is, when there is something to see."""
    await camera.become("dora")
    await camera.page.set_viewport_size({"width": WIDTH, "height": LITTLE})
    await camera.type("deploy", ENVIRONMENT)
    await camera.page.locator("#options input").nth(1).press_sequentially("v")
    await camera.page.locator("#popup").get_by_text("v2", exact=True).wait_for()
    await camera.picture("typing")
    await camera.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    await camera.page.locator("#name").click()
    await camera.type("status", ENVIRONMENT)
    await camera.send()
    await camera.picture("status", await camera.see("used /status", f"{ENVIRONMENT}: healthy"))


async def _in_chinese(camera: Photographer) -> None:
    await camera.become("dora")
    for select in ("#locale", "#guild-locale"):
        await camera.page.locator(select).select_option("zh-TW")
    await camera.type("部署", ENVIRONMENT, "v1")
    await camera.send()
    plan = await camera.see("你確認之前不會有任何變更")
    await camera.press(plan, "部署")
    await camera.see(f"將 v1 部署到 {ENVIRONMENT}", "成功")
    await camera.picture("chinese", await camera.see(f"將 v1 部署到 {ENVIRONMENT}", "初始化"))


async def main() -> int:
    """Start engine, stack, sandbox and bot, and take the pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="roas-pictures-") as name,
        find_or_start_engine(Path(name) / "engine", settings={"dns": []}) as engine,
    ):
        stage = Stage(engine, Path(name))
        async with AsyncExitStack() as stack:
            stack.push_async_callback(asyncio.to_thread, stage.clear, ENVIRONMENT, PRODUCTION)
            await asyncio.to_thread(stage.build)
            sandbox, address = await start_sandbox(stage.engine.host_address(), stage.folder)
            stack.push_async_callback(sandbox.stop)
            await asyncio.to_thread(start_bot, stage, address, ENVIRONMENT, PRODUCTION)
            playwright = await stack.enter_async_context(async_playwright())
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            stack.push_async_callback(browser.close)
            await take(browser, stage, address["page_url"])
    TEXTS.write_text(all_texts())
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
