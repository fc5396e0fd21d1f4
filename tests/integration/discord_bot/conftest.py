"""The whole bot on the unmodified discord.py client, in a Discord on loopback; only what it deploys is pretended."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from discord.gateway import DiscordWebSocket
from discord.http import Route
from pydantic import SecretStr

from roas.concurrency import end_tasks
from roas.discord_bot import RoasBot, run_bot
from roas.signals import stop_signals
from roas.state.leadership import Leadership
from sandbox.client import SandboxClient
from sandbox.server import Sandbox
from tests.unit.cogs.fake_application import FakeApplication, open_fake_application

OPENAPI = Path(__file__).parents[4] / "shared" / "discord" / "openapi.json"
COMMANDS = ("deploy", "hotfix", "rollback", "status")


@dataclass
class Living:
    """Run bots one after the other against the same journal and the same Discord."""

    application: FakeApplication
    sandbox: Sandbox
    people: SandboxClient
    running: list[tuple[RoasBot, asyncio.Task[int]]] = field(default_factory=list)

    async def start(self, *, wait: bool = True) -> RoasBot:
        """Start a bot; `wait` until people can use its commands."""
        self.application.leadership = Leadership()
        bot = RoasBot(self.application.settings, self.application)  # type: ignore[arg-type]
        self.running.append((bot, asyncio.create_task(run_until_stopped(bot))))
        if wait:
            await self.people.wait_until_connected()
            await self.people.wait_for_commands(*COMMANDS)
        return bot

    async def exit_code(self) -> int:
        """Wait until the bot that was started last has ended."""
        async with asyncio.timeout(15):
            return await self.running[-1][1]

    async def kill(self) -> None:
        """End the bot that was started last, without a chance to say goodbye to anybody but the socket."""
        bot, task = self.running.pop()
        await end_tasks(task)
        await bot.close()

    async def close(self) -> None:
        while self.running:
            await self.kill()


async def run_until_stopped(bot: RoasBot) -> int:
    """Run a bot until a signal stops it, as the service does; returns its exit code."""
    with stop_signals() as stop:
        return await run_bot(bot, bot._settings, stop, until=never)


async def never() -> int:
    """Wait for what does not come."""
    return await asyncio.get_running_loop().create_future()


def described() -> Path | None:
    """Find Discord's own description of its API: where the environment says, else beside the checkout."""
    named = os.environ.get("DISCORD_OPENAPI")
    path = Path(named) if named else OPENAPI
    return path if path.is_file() else None


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put discord.py's addresses back after the test."""
    monkeypatch.setattr(Route, "BASE", Route.BASE)
    monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", DiscordWebSocket.DEFAULT_GATEWAY)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(openapi=described()) as running:
        yield running


@pytest.fixture
async def living(tmp_path: Path, sandbox: Sandbox, library: None) -> AsyncIterator[Living]:
    async with (
        SandboxClient(sandbox.control_url, sandbox.control_token) as people,
        open_fake_application(tmp_path / "state", **settings_for(sandbox)) as application,
    ):
        living = Living(application, sandbox, people)
        yield living
        await living.close()
        assert await people.violations() == []


def settings_for(sandbox: Sandbox) -> dict[str, object]:
    """Return the settings by which a bot finds the sandbox."""
    return {
        "discord_token": SecretStr(sandbox.bot_token),
        "discord_guild_id": sandbox.guild_id,
        "discord_ops_channel_id": sandbox.ops_channel_id,
        "discord_deployer_role_ids": str(sandbox.roles["deployer"]),
        "discord_approver_role_ids": str(sandbox.roles["approver"]),
        "discord_hotfix_role_ids": str(sandbox.roles["hotfix"]),
        "discord_api_url": sandbox.api_url,
        "discord_gateway_url": sandbox.gateway_url,
    }
