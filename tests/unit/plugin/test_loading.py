"""Loading the cogs into a bot either works or says what is missing; unloading leaves the bot as it was."""

import gc
import traceback
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import discord
import pytest
from discord import app_commands
from discord.ext import commands

from roas.cogs.extension import Departure
from roas.errors import RoasError, SettingsError, StateError
from roas.models.post import Post
from roas.state.manager import StateManager
from tests.unit.log_lines import captured_logs
from tests.unit.plugin.host.host_state import host_state, settled

EXTENSION = "roas"
NAMES = (
    "deploy",
    "hotfix",
    "promote",
    "rollback",
    "cancel",
    "status",
    "history",
    "logs",
    "lock",
    "unlock",
    "start",
    "stop",
    "restart",
    "scale",
)
GUILD = discord.Object(1)

SETTINGS = {"DISCORD_GUILD_ID": "1", "DISCORD_OPS_CHANNEL_ID": "2", "DOCKER_HOST": "unix:///nowhere/docker.sock"}


class OwnTranslator(app_commands.Translator):
    """Know whether it was left as it was found."""

    loaded = False
    calls = 0

    async def load(self) -> None:
        self.loaded = True
        self.calls += 1

    async def unload(self) -> None:
        self.loaded = False
        self.calls += 1

    async def translate(self, string: object, locale: object, context: object) -> None:
        return None


@pytest.fixture(scope="module", autouse=True)
def _earlier_tests_are_no_garbage() -> None:
    """Spare each look for garbage what hundreds of earlier tests keep: to go through that takes half a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture
async def bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[commands.Bot]:
    """Be a bot with a command and a translator of its own; its settings are the environment's alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STATE_DIR", str(tmp_path / "state"))
    async with commands.Bot("!", intents=discord.Intents(guilds=True)) as bot:
        await bot.tree.set_translator(OwnTranslator())
        bot.tree.command(description="Ping", guild=GUILD)(ping)
        yield bot


async def ping(interaction: discord.Interaction) -> None:
    await interaction.response.send_message("pong")


async def refused(bot: commands.Bot) -> BaseException:
    with pytest.raises(commands.ExtensionFailed) as failed:
        await bot.load_extension(EXTENSION)
    assert not bot.cogs
    assert [command.name for command in bot.tree.get_commands(guild=GUILD)] == ["ping"]
    return failed.value.original


async def test_missing_setting_named_with_source(bot: commands.Bot, monkeypatch: pytest.MonkeyPatch):
    error = await refused(bot)
    assert isinstance(error, SettingsError)
    assert error.message == "DISCORD_GUILD_ID and DISCORD_OPS_CHANNEL_ID are missing."
    assert "developer mode" in error.hint
    assert ".env" in error.hint
    monkeypatch.setenv("DISCORD_GUILD_ID", "1")
    error = await refused(bot)
    assert str(error) == "DISCORD_OPS_CHANNEL_ID is missing."
    assert not Path("state").exists()


async def test_traceback_says_what_to_do(bot: commands.Bot):
    """Most hosts catch nothing: what the traceback does not say, nobody reads."""
    with pytest.raises(commands.ExtensionFailed) as failed:
        await bot.load_extension(EXTENSION)
    shown = "".join(traceback.format_exception(failed.value))
    assert "DISCORD_GUILD_ID and DISCORD_OPS_CHANNEL_ID are missing." in shown
    assert "→ " in shown
    assert "developer mode" in shown


async def test_invalid_settings_all_named(bot: commands.Bot, monkeypatch: pytest.MonkeyPatch):
    for name, value in {**SETTINGS, "DISCORD_GUILD_ID": "shop", "ROAS_HTTP_PORT": "many", "HTTP_PORT": "mine"}.items():
        monkeypatch.setenv(name, value)
    error = await refused(bot)
    assert isinstance(error, SettingsError)
    assert "DISCORD_GUILD_ID" in error.message
    assert "ROAS_HTTP_PORT" in error.message
    assert ".env.example" in error.hint


async def test_unusable_folder_named(bot: commands.Bot, monkeypatch: pytest.MonkeyPatch):
    Path("file").touch()
    for name, value in {**SETTINGS, "STATE_DIR": "file/state"}.items():
        monkeypatch.setenv(name, value)
    error = await refused(bot)
    assert isinstance(error, StateError)
    assert "file/state" in error.message


async def test_unload_restores_bot(bot: commands.Bot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    connection, translator = bot._connection, bot.tree.translator
    before = connection.dispatch, bot.dispatch, bot.close, dict(connection.parsers), dict(bot.extra_events)
    async with StateManager(tmp_path / "state", instance_prefix="TEST") as state:
        for _ in range(2):
            await bot.load_extension(EXTENSION)
            assert len(state.instance.living("BOT")) == 1
            assert isinstance(bot.tree.translator, app_commands.Translator)
            assert bot.tree.translator is not translator

            await bot.unload_extension(EXTENSION)
            assert state.instance.living("BOT") == ()
            assert bot.tree.translator is translator
            assert isinstance(translator, OwnTranslator)
            assert translator.loaded
            assert not bot.cogs
            assert [command.name for command in bot.tree.get_commands(guild=GUILD)] == ["ping"]
            listeners = {event: found for event, found in bot.extra_events.items() if found}
            after = connection.dispatch, bot.dispatch, bot.close, dict(connection.parsers), listeners
            assert after == before


def own(name: str) -> app_commands.Command:
    """Make a command of the host's."""

    async def answer(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("mine")

    return app_commands.Command(name=name, description="Mine", callback=answer)


@pytest.fixture
async def host(bot: commands.Bot, monkeypatch: pytest.MonkeyPatch) -> commands.Bot:
    """Give the bot global commands, and all else that a bot may have."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    bot.tree.add_command(own("mine"))

    @bot.tree.context_menu(name="status")
    async def menu(interaction: discord.Interaction, member: discord.Member) -> None:
        await interaction.response.send_message("mine")

    @bot.tree.error
    async def on_error(interaction: discord.Interaction, error: app_commands.AppCommandError) -> None:
        await interaction.response.send_message("mine")

    @bot.listen()
    async def on_message(message: discord.Message) -> None:
        raise AssertionError(message)

    bot.add_check(lambda context: True)
    view = discord.ui.View(timeout=None)
    view.add_item(discord.ui.Button(custom_id="mine"))
    bot.add_view(view)
    return bot


async def test_unloading_changes_nothing_of_a_host(host: commands.Bot):
    before = host_state(host)
    for _ in range(2):
        await host.load_extension(EXTENSION)
        assert {get_command.name for get_command in host.tree.get_commands(guild=GUILD)} == {"ping", *NAMES}
        await host.unload_extension(EXTENSION)
        assert await settled(host, before) == {}
    assert host.tree.translator.calls == 1, "it is neither loaded again nor unloaded"


@pytest.mark.long
async def test_failed_load_changes_nothing_of_a_host(host: commands.Bot, monkeypatch: pytest.MonkeyPatch):
    """What is added last fails, when everything else is there."""
    before = host_state(host)
    add_cog = type(host).add_cog

    async def fail_at_last(bot: commands.Bot, cog: commands.Cog, **options: object) -> None:
        if cog.qualified_name == "ROAS":
            raise RuntimeError("not today")
        await add_cog(bot, cog, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(type(host), "add_cog", fail_at_last)
    with pytest.raises(commands.ExtensionFailed):
        await host.load_extension(EXTENSION)
    assert await settled(host, before) == {}


@pytest.mark.long
async def test_cog_of_our_name_is_refused(host: commands.Bot):
    class Mine(commands.Cog, name="ROAS Status"):
        pass

    await host.add_cog(Mine())
    before = host_state(host)
    assert (await clash(host)).message == "This bot has a cog called ROAS Status already."
    assert await settled(host, before) == {}


async def test_clash_in_the_guild_changes_nothing(host: commands.Bot, tmp_path: Path):
    for name in ("unlock", "status"):
        host.tree.add_command(own(name), guild=GUILD)
    before = host_state(host)
    error = await clash(host)
    assert error.message == "This bot has /status, /unlock in the server 1 already."
    assert "ROAS_DISCORD_COMMAND_GROUP" in error.hint
    assert await settled(host, before) == {}
    assert not (tmp_path / "state").exists(), "it is refused before anything is opened"


async def test_global_command_of_our_name_is_refused_but_for_a_group(
    host: commands.Bot, monkeypatch: pytest.MonkeyPatch
):
    """Ours would hide it in the server."""
    host.tree.add_command(own("status"))
    before = host_state(host)
    error = await clash(host)
    assert error.message == "This bot has /status as a global command, which would be hidden in the server 1."
    assert "ROAS_DISCORD_COMMAND_GROUP" in error.hint
    assert await settled(host, before) == {}
    monkeypatch.setenv("ROAS_DISCORD_COMMAND_GROUP", "roas")
    await host.load_extension(EXTENSION)


@pytest.mark.parametrize(
    ("happens", "told"),
    [
        (lambda tree: tree.clear_commands(guild=GUILD), "this bot has removed commands of roas"),
        (lambda tree: tree.add_command(own("status")), "commands of roas hide global commands of this bot"),
        (lambda tree: tree.add_command(own("status"), guild=GUILD, override=True), "commands of this bot override"),
    ],
)
async def test_what_the_host_does_to_commands_is_logged(host: commands.Bot, happens, told: str):
    await host.load_extension(EXTENSION)
    happens(host.tree)
    with captured_logs() as logs:
        for _ in range(2):
            host.get_cog("ROAS").sync.report_changes()  # type: ignore[union-attr]
    (line,) = logs
    assert line["event"].startswith(told)
    assert "/status" in line["commands"]


@pytest.mark.parametrize(
    ("setting", "value", "is_seen_before"),
    [
        pytest.param("DISCORD_OPS_CHANNEL_ID", "general", True, id="a name in place of an id"),
        pytest.param("DISCORD_GUILD_ID", None, False, id="a setting that is missing", marks=pytest.mark.long),
        pytest.param("STATE_DIR", "file/state", False, id="a folder that cannot be made", marks=pytest.mark.long),
        pytest.param("ROAS_DISCORD_COMMAND_GROUP", "ping", False, id="a group of the host's", marks=pytest.mark.long),
        pytest.param("", "status", False, id="a global command of the host's that came since"),
    ],
)
async def test_reload_that_is_refused_keeps_the_extension(
    host: commands.Bot, monkeypatch: pytest.MonkeyPatch, setting: str, value: str | None, is_seen_before: bool
):
    """It goes on with the settings that it had."""
    Path("file").touch()
    await host.load_extension(EXTENSION)
    cogs, before = dict(host.cogs), {command.name for command in host.tree.get_commands(guild=GUILD)}
    if value is None:
        monkeypatch.delenv(setting)
    elif setting:
        monkeypatch.setenv(setting, value)
    else:
        host.tree.add_command(own(value))
    with pytest.raises(commands.ExtensionFailed) as failed:
        await host.reload_extension(EXTENSION)
    assert type(failed.value.original).__name__ in {"SettingsError", "NameClashError", "StateError"}
    assert EXTENSION in host.extensions
    assert {command.name for command in host.tree.get_commands(guild=GUILD)} == before == {"ping", *NAMES}
    assert host.cogs.keys() == cogs.keys()
    assert not is_seen_before or dict(host.cogs) == cogs


async def test_message_that_is_gone_keeps_no_command(host: commands.Bot):
    """Whoever unloads the extension in the middle of two deployments may have deleted the message of one."""
    edited: list[int] = []

    class Message(SimpleNamespace):
        async def edit(self, *, view: None) -> None:
            edited.append(self.id)
            if self.id == 1:
                raise discord.NotFound(SimpleNamespace(status=404, reason="gone"), "Unknown Message")  # type: ignore[arg-type]

    class Journal(SimpleNamespace):
        async def unfinished(self) -> list[SimpleNamespace]:
            return [SimpleNamespace(id=number) for number in (1, 2)]

        async def get(self, number: int, kind: str) -> Post:
            return Post(str(number), kind, 7, message_id=number)

        async def withdraw(self) -> None:
            edited.append(0)

    journal: Any = Journal()
    journal.deployments = journal.posts = journal
    channel = SimpleNamespace(get_partial_message=lambda number: Message(id=number))
    bot: Any = SimpleNamespace(get_partial_messageable=lambda _: channel, reload_extension=None)
    departure = Departure(bot, cast("Any", SimpleNamespace(state=journal)), cast("Any", None), lambda: False)
    departure._is_last = lambda: True  # type: ignore[method-assign]
    await departure.leave(journal)
    assert sorted(edited) == [0, 1, 2]


async def test_waiting_to_lead_in_setup_hook_is_an_error(host: commands.Bot):
    """It would wait for ever: the bot connects after that."""
    await host.load_extension(EXTENSION)
    with pytest.raises(RuntimeError, match="setup_hook"):
        await host.get_cog("ROAS").wait_until_leader()  # type: ignore[union-attr]


async def test_full_server_is_refused_but_for_a_group(host: commands.Bot, monkeypatch: pytest.MonkeyPatch):
    for number in range(98):
        host.tree.add_command(own(f"own-{number}"), guild=GUILD)
    error = await clash(host)
    assert "99 commands" in error.message
    assert "ROAS_DISCORD_COMMAND_GROUP" in error.hint
    monkeypatch.setenv("ROAS_DISCORD_COMMAND_GROUP", "roas")
    await host.load_extension(EXTENSION)
    (group,) = [get_command for get_command in host.tree.get_commands(guild=GUILD) if get_command.name == "roas"]
    assert isinstance(group, app_commands.Group)
    assert {command.name for command in group.commands} == set(NAMES)


async def test_taken_group_is_refused(host: commands.Bot, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ROAS_DISCORD_COMMAND_GROUP", "ping")
    assert (await clash(host)).message == "This bot has /ping in the server 1 already."


async def test_hosts_own_attribute_roas_is_ignored(host: commands.Bot):
    host.roas = {"of": "the host"}  # type: ignore[attr-defined]
    await host.load_extension(EXTENSION)
    await host.unload_extension(EXTENSION)
    assert host.roas == {"of": "the host"}  # type: ignore[attr-defined]


async def clash(host: commands.Bot) -> RoasError:
    """Return why the extension refuses to come into a bot."""
    with pytest.raises(commands.ExtensionFailed) as failed:
        await host.load_extension(EXTENSION)
    error = failed.value.original
    assert isinstance(error, RoasError)
    assert error.key == "name_clash"
    return error


@pytest.mark.long
async def test_commands_copied_over_ours_stay(host: commands.Bot):
    """`copy_global_to` puts the host's commands in the place of ours: they are the host's when we leave, too."""
    await host.load_extension(EXTENSION)
    for name in NAMES:
        host.tree.add_command(own(name))
    host.tree.copy_global_to(guild=GUILD)
    commands = ("global commands", "guild commands", "context menus")
    copied = [host_state(host)[name] for name in commands]
    await host.unload_extension(EXTENSION)
    assert [host_state(host)[name] for name in commands] == copied


async def test_reload_changes_nothing_of_a_host(host: commands.Bot):
    before = host_state(host)
    await host.load_extension(EXTENSION)
    for _ in range(2):
        await host.reload_extension(EXTENSION)
    await host.unload_extension(EXTENSION)
    assert await settled(host, before) == {}


async def test_damaged_journal_leaves_the_host_running(
    bot: commands.Bot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It is told in the channel and to all who ask; the host goes on, and unloads it as ever."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    before = host_state(bot)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "journal.sqlite3").write_bytes(b"\0" * 8192)
    await bot.load_extension(EXTENSION)
    assert list(bot.cogs) == ["ROAS"]
    assert [command.name for command in bot.tree.get_commands(guild=GUILD)] == ["ping"]
    await bot.unload_extension(EXTENSION)
    assert await settled(bot, before) == {}
