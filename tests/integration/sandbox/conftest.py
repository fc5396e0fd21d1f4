"""A sandbox, the people in it, and a bot that is connected."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import discord
import pytest
import yarl

from sandbox.client import SandboxClient
from sandbox.server import Sandbox
from tests.integration.sandbox.small_bot import DEADLINE, RunningBot, SmallBot


def _openapi() -> Path | None:
    """Find Discord's own description: where the environment says, else beside the checkout."""
    named = os.environ.get("DISCORD_OPENAPI")
    path = Path(named) if named else Path(__file__).parents[4] / "shared" / "discord" / "openapi.json"
    return path if path.is_file() else None


@pytest.fixture(scope="session")
def openapi() -> Path | None:
    return _openapi()


@pytest.fixture
async def sandbox(openapi: Path | None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    async with Sandbox(openapi=openapi) as running:
        monkeypatch.setattr(discord.http.Route, "BASE", running.api_url)
        monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(running.gateway_url))
        yield running


@pytest.fixture
async def people(sandbox: Sandbox) -> AsyncIterator[SandboxClient]:
    async with SandboxClient(sandbox.control_url, sandbox.control_token) as client:
        yield client


@pytest.fixture
async def bot(sandbox: Sandbox, people: SandboxClient) -> AsyncIterator[SmallBot]:
    async with RunningBot(sandbox) as small:
        await people.wait_until_connected(DEADLINE)
        yield small
