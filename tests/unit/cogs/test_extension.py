"""The cogs load into any bot, act only while it is the leader, and sync their commands only when needed."""

from contextlib import asynccontextmanager
from dataclasses import replace

import discord
import pytest
from discord import app_commands
from discord.ext import commands

from roas.cogs import extension
from roas.cogs.command_sync import KIND, CommandSet, CommandSync
from roas.discord_bot import RoasBot
from roas.errors import SettingsError
from tests.unit.cogs.conftest import Scene
from tests.unit.cogs.fake_application import FakeApplication

COMMANDS = ("deploy", "hotfix", "rollback", "cancel", "status", "history", "logs", "lock", "unlock")


def syncs(scene: Scene) -> int:
    return sum(request.method == "PUT" and request.path.endswith("/commands") for request in scene.env.http_requests)


async def test_commands_registered_for_guild(scene: Scene) -> None:
    tree = scene.env.bot.tree  # type: ignore[attr-defined]
    there = await tree.fetch_commands(guild=discord.Object(scene.guild.id))
    assert {command.name for command in there} >= {
        "deploy",
        "hotfix",
        "rollback",
        "status",
        "cancel",
        "history",
        "logs",
        "lock",
        "unlock",
    }


async def test_restart_skips_sync_of_same_commands(scene: Scene) -> None:
    before = syncs(scene)
    await scene.restart()
    await scene.restart()
    assert syncs(scene) == before == 1


async def test_changed_commands_synced(scene: Scene) -> None:
    posts = scene.application.state.posts
    subject = f"{KIND}:{scene.env.bot.application_id}:{scene.guild.id}"
    post = await posts.get(subject, KIND)
    assert post is not None
    assert post.finished
    await posts.save(replace(post, content_hash="of other commands"))
    await scene.restart()
    assert syncs(scene) == 2


async def test_lost_commands_synced_again(scene: Scene) -> None:
    bot = scene.env.bot
    assert isinstance(bot, RoasBot)
    ours = CommandSet(bot.tree, discord.Object(scene.guild.id))
    sync = CommandSync(bot, scene.application.state, scene.guild.id, ours)
    assert not await sync.run()
    await bot.http.bulk_upsert_guild_commands(bot.application_id, scene.guild.id, [])  # type: ignore[arg-type]
    assert await sync.run()


async def test_standby_answers_nothing(scene: Scene) -> None:
    bot = scene.env.bot
    assert isinstance(bot, RoasBot)
    bot.roas_leadership.lose()
    result = await scene.dora.slash(scene.ops, "status")
    assert not result.acknowledged
    scene.expected_errors = (app_commands.CheckFailure,)
    bot.roas_leadership.gain()
    assert (await scene.dora.slash(scene.ops, "status")).acknowledged


class HostBot(commands.Bot):
    """Be somebody else's bot that wants to deploy itself."""

    def __init__(self) -> None:
        super().__init__(command_prefix="!", intents=discord.Intents(guilds=True))

    async def setup_hook(self) -> None:
        @self.tree.command(guild=discord.Object(self.guild_id))  # type: ignore[attr-defined]
        async def ping(interaction: discord.Interaction) -> None:
            await interaction.response.send_message("pong")

        await self.load_extension("roas")


async def test_any_bot_opens_and_closes_application(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any bot can load the cogs; the application is opened and closed with them."""
    opened: list[str] = []

    @asynccontextmanager
    async def open_application(_settings: object, **_: object):
        opened.append("opened")
        yield scene.application
        opened.append("closed")

    @asynccontextmanager
    async def active_at_once(application: FakeApplication, *_: object):
        application.leadership.gain()
        yield

    monkeypatch.setattr(extension, "open_application", open_application)
    # The simulation waits until nothing is due.
    monkeypatch.setattr(extension, "run_leader_election", active_at_once)
    monkeypatch.setenv("DISCORD_GUILD_ID", str(scene.guild.id))
    monkeypatch.setenv("DISCORD_OPS_CHANNEL_ID", str(scene.ops.id))
    host = HostBot()
    host.guild_id = scene.guild.id  # type: ignore[attr-defined]
    await scene.env.restart_bot(host)

    assert "staging: healthy" in scene.answer(await scene.bob.slash(scene.ops, "status"))
    await scene.ask(scene.dora, "deploy", environment="staging", version="v2")
    await scene.posted("Deploy v2 to staging: succeeded")
    pong = await scene.bob.slash(scene.ops, "ping")
    assert pong.response is not None
    assert pong.response.content == "pong"
    assert opened == ["opened"]

    await host.unload_extension("roas")
    assert opened == ["opened", "closed"]
    names = {command.name for command in host.tree.get_commands(guild=discord.Object(scene.guild.id))}
    assert names == {"ping"}


async def test_missing_channel_setting_named_on_load(scene: Scene) -> None:
    scene.application.settings.discord_ops_channel_id = None
    bot = RoasBot(scene.application.settings, scene.application)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="DISCORD_OPS_CHANNEL_ID"):
        await bot.load_cogs()
    assert not bot.cogs
