"""A sandbox, a stack and a bot process for every test that goes over the wire."""

import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import docker
import pytest

from sandbox.client import SandboxClient
from sandbox.server import Sandbox
from testbed.ports import free_port
from testbed.redis_server import RedisServer
from tests.e2e.wire.bot_process import BotProcess, settings_for
from tests.e2e.wire.shop import REPOSITORY, Shop

COMMANDS = ("deploy", "hotfix", "rollback", "status")
CONNECT_SECONDS = 120.0


@pytest.fixture
def shop(tmp_path: Path, docker_client: docker.DockerClient, image_ids: dict[str, str]) -> Iterator[Shop]:
    """Write a stack of two services under a name of its own."""
    shop = Shop(tmp_path / "shop", f"wire-{secrets.token_hex(3)}", docker_client, REPOSITORY)
    shop.write()
    yield shop
    shop.clear()


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Run a Discord of our own, and let no test pass whose bot broke Discord's rules."""
    async with Sandbox(openapi=os.environ.get("DISCORD_OPENAPI")) as sandbox:
        yield sandbox
        async with SandboxClient(sandbox.control_url, sandbox.control_token) as people:
            assert await people.violations() == []


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """Run a Redis, for a bot whose settings name it."""
    (tmp_path / "redis").mkdir()
    with RedisServer(tmp_path / "redis") as running:
        yield running


@pytest.fixture
def http_port() -> int:
    """Return a port, for a bot that is to answer on it."""
    return free_port()


@pytest.fixture
async def people(sandbox: Sandbox) -> AsyncIterator[SandboxClient]:
    """Play the people in the channel."""
    async with SandboxClient(sandbox.control_url, sandbox.control_token) as people:
        yield people


@pytest.fixture
def bot_settings(sandbox: Sandbox, shop: Shop, docker_host: str, tmp_path: Path) -> dict[str, str]:
    """Return the settings of a bot for this sandbox and this stack."""
    return settings_for(sandbox, docker_host, shop.folder, tmp_path / "state", shop.base_name)


@pytest.fixture
async def start_bot(
    bot_settings: dict[str, str], people: SandboxClient, tmp_path: Path
) -> AsyncIterator[Callable[[], Awaitable[BotProcess]]]:
    """Return what starts a bot, and waits until its commands can be typed."""
    bot = BotProcess(bot_settings, tmp_path / "roas.log")

    async def start() -> BotProcess:
        await bot.start()
        await people.wait_for_commands(*COMMANDS, deadline_seconds=CONNECT_SECONDS)
        await people.wait_until_connected(CONNECT_SECONDS)  # before that, what is typed reaches no bot
        return bot

    try:
        yield start
    finally:
        await bot.stop()
        if bot.log.exists():
            print(bot.log.read_text())  # shown by pytest when the test fails


@pytest.fixture
async def bot(start_bot: Callable[[], Awaitable[BotProcess]]) -> BotProcess:
    """Give a bot whose commands can be typed."""
    return await start_bot()
