"""How long nobody listens while the bot is replaced: by itself (`/deploy`), and by `docker compose up -d`.

The bot runs in a container of an engine of its own. A person sends `/status` ten times a second, from before the
replacement until after it; when each was answered is what the sandbox saw, in Discord's place.
"""

import asyncio
import re
import shutil
import statistics
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.client import SandboxClient
from sandbox.poller import PollResults, polling
from sandbox.views import Message
from testbed.bot_image import bot_image
from testbed.daemon import PrivateDaemon
from testbed.engine import Engine
from testbed.home_stack import BOT_SERVICE, IMAGE, STORE_IMAGE, Home, home_settings, lay_out, running_sandbox
from testbed.sample import sample_image

COMMANDS = ("deploy", "status")
ENVIRONMENT = "dev"
CONNECT_SECONDS = 60.0
ANSWER_SECONDS = 30.0
OUTCOME_SECONDS = 180.0
# Asked for so long before the bot is replaced and afterwards.
CALM_SECONDS = 3.0
DEPLOYMENT_ID = re.compile(r"\bDEPLOY-[0-9A-Z]+\b")


@dataclass(frozen=True)
class Run:
    """One replacement: how long it took, and how commands sent meanwhile were answered."""

    seconds: float
    results: PollResults

    def as_dict(self) -> dict[str, float]:
        """Return the figures."""
        results = self.results
        return {
            "seconds": self.seconds,
            "asked": len(results.asked),
            "never": results.never,
            "twice": results.twice,
            "late": results.late,
            "refused": results.refused,
            "p50": results.median,
            "p99": results.p99,
            "longest_wait": results.longest_wait,
            "longest_gap": results.longest_gap,
            "deaf": results.unresponsive,
        }


@dataclass
class Gaps:
    """Hold every run of both sides."""

    sides: dict[str, list[Run]] = field(default_factory=dict)

    def as_dict(self) -> Mapping[str, object]:
        """Return every figure."""
        return {side: [run.as_dict() for run in runs] for side, runs in self.sides.items()}

    def as_table(self) -> str:
        """Return the figures as a Markdown table."""
        counts = ("asked", "never answered", "twice", "after 3 s")
        head = ("replaced by", *counts, "p50", "p99", "longest gap", "nobody listened for")
        lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
        for side, runs in self.sides.items():
            lines += [f"| {' | '.join([f'`{side}`', *_cells(run.results)])} |" for run in runs]
        return "\n".join([*lines, "", self._ratio()])

    def _ratio(self) -> str:
        longest = {
            side: statistics.median(run.results.longest_gap for run in runs) for side, runs in self.sides.items()
        }
        return "Median of the longest gaps: " + ", ".join(f"{gap:.2f} s ({side})" for side, gap in longest.items())


def _cells(seen: PollResults) -> Sequence[str]:
    counts = (len(seen.asked), seen.never, seen.twice, seen.late)
    return [
        *map(str, counts),
        *(f"{item:.2f} s" for item in (seen.median, seen.p99, seen.longest_gap, seen.unresponsive)),
    ]


def measure(folder: Path, runs: int) -> Gaps:
    """Replace the bot both ways alternately, each time from a stack that was just started."""
    with (
        PrivateDaemon(folder / "engine", settings={"dns": []}) as daemon,
        running_sandbox(engine := Engine(daemon.docker_host, daemon)) as discord,
    ):
        for version in ("v1", "v2"):
            bot_image(engine, f"{IMAGE}:{version}", version=version)
        return asyncio.run(_measure(engine, discord, folder, runs))


async def _measure(engine: Engine, discord: Mapping[str, Any], folder: Path, runs: int) -> Gaps:
    gaps = Gaps()
    ways: dict[str, Callable[[Home, SandboxClient], Any]] = {
        "/deploy": _by_itself,
        "docker compose up -d": _by_compose,
    }
    for number in range(runs):
        for side, (name, way) in enumerate(ways.items()):
            async with _home(engine, discord, folder / f"home-{number}-{side}") as (home, people):
                gaps.sides.setdefault(name, []).append(await _run(home, people, way))
    return gaps


async def _run(home: Home, people: SandboxClient, way: Callable[[Home, SandboxClient], Any]) -> Run:
    async with polling(people, "status") as somebody:
        await asyncio.sleep(CALM_SECONDS)
        began = time.monotonic()
        await way(home, people)
        seconds = time.monotonic() - began
        await asyncio.sleep(CALM_SECONDS)
    return Run(seconds, somebody.results)


async def _by_itself(_home: Home, people: SandboxClient) -> None:
    """Ask the bot to replace itself, confirm its plan, and wait for the end."""
    asked = await people.slash("dora", "deploy", environment=ENVIRONMENT, version="v2")
    plan = (await people.answer(asked, deadline_seconds=ANSWER_SECONDS)).message
    assert plan is not None
    confirm = next(button.custom_id for button in plan.buttons if ":confirm:" in (button.custom_id or ""))
    answer = (
        await people.answer(await people.click("dora", plan, str(confirm)), deadline_seconds=ANSWER_SECONDS)
    ).message
    found = DEPLOYMENT_ID.search(answer.text if answer else "")
    assert found is not None, answer

    def is_outcome(message: Message) -> bool:
        return f"{found.group()} · outcome" in message.text

    notified = await people.wait_for_message(is_outcome, deadline_seconds=OUTCOME_SECONDS)
    if "succeeded" not in notified.text:
        raise RuntimeError(notified.text)


async def _by_compose(home: Home, people: SandboxClient) -> None:
    """Replace the bot by hand, and wait until the new one is connected."""
    settings = home.folder / ".env"
    settings.write_text(settings.read_text().replace("VERSION=v1\n", "VERSION=v2\n", 1))
    before = (await people.state())["identified"]
    await asyncio.to_thread(home.compose, "up", "-d", BOT_SERVICE)
    await people.wait_until_connected(CONNECT_SECONDS, identified=before + 1)


@asynccontextmanager
async def _home(engine: Engine, discord: Mapping[str, Any], folder: Path) -> AsyncIterator[tuple[Home, SandboxClient]]:
    """Start the stack by hand, wait until people can use the bot, and remove it afterwards."""
    client = engine.client()
    try:
        sample_image(client, STORE_IMAGE)
        home = lay_out(engine, client, folder, home_settings(discord, engine, folder))
        await asyncio.to_thread(home.compose, "up", "-d")
        async with SandboxClient(discord["control_url"], discord["control_token"]) as people:
            await people.wait_until_connected(CONNECT_SECONDS)
            await people.wait_for_commands(*COMMANDS, deadline_seconds=CONNECT_SECONDS)
            yield home, people
            await asyncio.to_thread(home.compose, "down", "--timeout", "5")
    finally:
        client.close()
        shutil.rmtree(folder, ignore_errors=True)
