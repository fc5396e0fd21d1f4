"""Loading the cogs into a bot either works or says what is missing; unloading leaves the bot as it was."""

from collections.abc import AsyncIterator
from pathlib import Path

import discord
import pytest
from discord import app_commands
from discord.ext import commands

from bot.errors import SettingsError, StateError
from bot.state.manager import StateManager

SETTINGS = {"DISCORD_GUILD_ID": "1", "DISCORD_OPS_CHANNEL_ID": "2", "DOCKER_HOST": "unix:///nowhere/docker.sock"}


class OwnTranslator(app_commands.Translator):
    """Know whether it was left as it was found."""

    loaded = False

    async def load(self) -> None:
        self.loaded = True

    async def unload(self) -> None:
        self.loaded = False

    async def translate(self, string: object, locale: object, context: object) -> None:
        return None


@pytest.fixture
async def bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[commands.Bot]:
    """Be a bot with a command and a translator of its own; its settings are the environment's alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STATE_DIR", str(tmp_path / "state"))
    async with commands.Bot("!", intents=discord.Intents(guilds=True)) as bot:
        await bot.tree.set_translator(OwnTranslator())
        bot.tree.command(description="Ping", guild=discord.Object(1))(ping)
        yield bot


async def ping(interaction: discord.Interaction) -> None:
    await interaction.response.send_message("pong")


async def refused(bot: commands.Bot) -> BaseException:
    with pytest.raises(commands.ExtensionFailed) as failed:
        await bot.load_extension("cogs")
    assert not bot.cogs
    assert [command.name for command in bot.tree.get_commands(guild=discord.Object(1))] == ["ping"]
    return failed.value.original


async def test_what_is_missing_is_named_and_where_to_find_it(bot: commands.Bot, monkeypatch: pytest.MonkeyPatch):
    error = await refused(bot)
    assert isinstance(error, SettingsError)
    assert error.message == "DISCORD_GUILD_ID and DISCORD_OPS_CHANNEL_ID are missing."
    assert "developer mode" in error.hint
    assert ".env" in error.hint
    monkeypatch.setenv("DISCORD_GUILD_ID", "1")
    error = await refused(bot)
    assert str(error) == "DISCORD_OPS_CHANNEL_ID is missing."
    assert not Path("state").exists()


async def test_what_is_wrong_is_named_all_of_it(bot: commands.Bot, monkeypatch: pytest.MonkeyPatch):
    for name, value in {**SETTINGS, "DISCORD_GUILD_ID": "shop", "HTTP_PORT": "many"}.items():
        monkeypatch.setenv(name, value)
    error = await refused(bot)
    assert isinstance(error, SettingsError)
    assert "DISCORD_GUILD_ID" in error.message
    assert "HTTP_PORT" in error.message
    assert ".env.example" in error.hint


async def test_a_folder_that_cannot_be_used_is_named(bot: commands.Bot, monkeypatch: pytest.MonkeyPatch):
    Path("file").touch()
    for name, value in {**SETTINGS, "STATE_DIR": "file/state"}.items():
        monkeypatch.setenv(name, value)
    error = await refused(bot)
    assert isinstance(error, StateError)
    assert "file/state" in error.message


async def test_unloading_leaves_the_bot_as_it_was(bot: commands.Bot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    connection, translator = bot._connection, bot.tree.translator
    before = connection.dispatch, bot.dispatch, bot.close, dict(connection.parsers), dict(bot.extra_events)
    async with StateManager(tmp_path / "state", instance_prefix="TEST") as state:
        for _ in range(2):
            await bot.load_extension("cogs")
            assert len(state.instance.living("BOT")) == 1
            assert isinstance(bot.tree.translator, app_commands.Translator)
            assert bot.tree.translator is not translator

            await bot.unload_extension("cogs")
            assert state.instance.living("BOT") == ()
            assert bot.tree.translator is translator
            assert isinstance(translator, OwnTranslator)
            assert translator.loaded
            assert not bot.cogs
            assert [command.name for command in bot.tree.get_commands(guild=discord.Object(1))] == ["ping"]
            listeners = {event: found for event, found in bot.extra_events.items() if found}
            after = connection.dispatch, bot.dispatch, bot.close, dict(connection.parsers), listeners
            assert after == before
