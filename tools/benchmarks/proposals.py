"""From the webhook of a pushed image to the proposal in the channel; and what looking at registries costs at rest.

Each webhook is that of a source of its own, so that each is a new message. The registry is a stand-in on this machine.
"""

import asyncio
import hashlib
import statistics
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

from roas.metrics.integration_monitor import percentile
from sandbox.views import Message
from testbed.engine import Engine
from testbed.ports import free_port
from testbed.running_bot import RunningBot, Stack, running_bot

ENVIRONMENT = "dev"
IMAGE = "acme/web"
SECRET = "a-secret-of-the-benchmark"  # noqa: S105 - of a registry that is there for a moment
POSTED_SECONDS = 30.0
PAUSE_SECONDS = 0.5


@dataclass
class Result:
    """Hold the seconds from each webhook to its answer, and to its message."""

    answered: list[float] = field(default_factory=list)
    posted: list[float] = field(default_factory=list)

    def as_dict(self) -> Mapping[str, object]:
        """Return every figure."""
        return asdict(self)

    def as_table(self) -> str:
        """Return the figures as a Markdown table."""
        rows = [("answered", self.answered), ("proposal in the channel", self.posted)]
        return "\n".join(
            [
                "| from a webhook until | times | p50 (s) | p99 (s) | max (s) |",
                "|---|---|---|---|---|",
                *(_row(name, taken) for name, taken in rows),
            ]
        )


def _row(name: str, taken: Sequence[float]) -> str:
    figures = (statistics.median(taken), percentile(taken, 0.99) or 0.0, max(taken))
    return f"| {name} | {len(taken)} | {' | '.join(f'{figure:.2f}' for figure in figures)} |"


def measure(engine: Engine, folder: Path, runs: int) -> Result:
    """Announce `runs` versions, one after the other."""
    return asyncio.run(_measure(engine, folder, runs))


async def _measure(engine: Engine, folder: Path, runs: int) -> Result:
    api_port = free_port()
    async with _registry() as registry:
        sources = "".join(
            f'[sources.s{number}]\nkind = "registry"\nsecret_file = "{folder / "secret"}"\n'
            f'images = ["{registry}/{IMAGE}"]\nenvironments = {{ {ENVIRONMENT} = "propose" }}\n'
            for number in range(runs)
        )
        (folder / "secret").write_text(SECRET)
        (folder / "roas.toml").write_text(f"[api]\nport = {api_port}\n{sources}")
        service = {"image": f"{registry}/{IMAGE}:${{VERSION}}"}
        stack = Stack({"web": service}, {"ROAS_CONFIG": str(folder / "roas.toml")})
        async with running_bot(engine, folder / "bot", stack) as bot, aiohttp.ClientSession() as session:
            result = Result()
            for number in range(runs):
                await asyncio.sleep(PAUSE_SECONDS)
                await _announce(bot, session, f"http://127.0.0.1:{api_port}/v1/hooks/s{number}", f"v{number}", result)
            return result


async def _announce(bot: RunningBot, session: aiohttp.ClientSession, hook: str, version: str, result: Result) -> None:
    after = await bot.last_message()

    def is_proposal(message: Message) -> bool:
        return f"New version for {ENVIRONMENT}: {version}" in message.text

    event = {"action": "push", "target": {"repository": IMAGE, "tag": version}}
    began = time.monotonic()
    async with session.post(hook, json={"events": [event]}, headers={"Authorization": f"Bearer {SECRET}"}) as answer:
        if answer.status != 202:
            raise RuntimeError(await answer.text())
        result.answered.append(time.monotonic() - began)
    await bot.people.wait_for_message(is_proposal, deadline_seconds=POSTED_SECONDS, after=after)
    result.posted.append(time.monotonic() - began)


@asynccontextmanager
async def _registry() -> AsyncIterator[str]:
    """Serve a registry that has every tag, and provide its address."""

    async def answer(request: web.Request) -> web.Response:
        digest = hashlib.sha256(request.match_info["tag"].encode()).hexdigest()
        return web.Response(headers={"Docker-Content-Digest": f"sha256:{digest}"})

    application = web.Application()
    application.router.add_route("*", "/v2/acme/web/manifests/{tag}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port := free_port()).start()
        yield f"127.0.0.1:{port}"
    finally:
        await runner.cleanup()
