"""The sandbox, which answers as Discord does, is asked the same questions."""

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from roas.checks.discord_facts import fetch_discord_facts
from roas.configuration.settings import Settings
from roas.configuration.tables import EnvironmentSettings
from sandbox.client import SandboxClient
from sandbox.server import Sandbox

pytestmark = pytest.mark.wire


@pytest.fixture
async def running() -> AsyncIterator[Sandbox]:
    async with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def settings(running: Sandbox) -> Settings:
    return Settings(
        _env_file=None,  # type: ignore[call-arg]
        discord_token=SecretStr(running.bot_token),
        discord_guild_id=running.guild_id,
        discord_ops_channel_id=running.ops_channel_id,
        discord_api_url=running.api_url,
    )


async def test_complete_setup_has_all_permissions(settings: Settings) -> None:
    facts = await fetch_discord_facts(settings)
    assert (facts.token_accepted, facts.guild_found, facts.channel_name) == (True, True, "ops")
    assert facts.missing_permissions == ()


async def test_removed_permission_found_missing(running: Sandbox, settings: Settings) -> None:
    async with SandboxClient(running.control_url, running.control_token) as people:
        await people.deny_bot("send_messages")
    assert (await fetch_discord_facts(settings)).missing_permissions == ("Send Messages",)


async def test_wrong_token_guild_or_channel_found(settings: Settings) -> None:
    token = await fetch_discord_facts(settings.model_copy(update={"discord_token": SecretStr("wrong")}))
    guild = await fetch_discord_facts(settings.model_copy(update={"discord_guild_id": 5}))
    channel = await fetch_discord_facts(settings.model_copy(update={"discord_ops_channel_id": 5}))
    assert (token.token_accepted, guild.guild_found, channel.channel_found) == (False, False, False)
    assert (guild.token_accepted, channel.guild_found) == (True, True)


async def test_an_environment_is_asked_about_in_its_own_channel(running: Sandbox, settings: Settings) -> None:
    async with SandboxClient(running.control_url, running.control_token) as people:
        own = await people.create_channel("dev-ops")
        await people.deny_bot("attach_files", channel="dev-ops")
    settings = settings.model_copy(update={"environments": {"dev": EnvironmentSettings(ops_channel_id=own)}})
    dev, prod = await fetch_discord_facts(settings, "dev"), await fetch_discord_facts(settings, "prod")
    assert (dev.channel_name, dev.missing_permissions) == ("dev-ops", ("Attach Files",))
    assert (prod.channel_name, prod.missing_permissions, prod.ops) == ("ops", (), None)
    assert dev.ops == prod, "the ops channel is looked at too: others may have none of their own"
