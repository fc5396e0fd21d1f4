"""A small bot on the unmodified discord.py client, which answers in every way that the sandbox must understand."""

from __future__ import annotations

import asyncio

import discord
from discord import app_commands
from discord.ext import commands

from sandbox.server import Sandbox

DEADLINE = 10.0


class SmallBot(commands.Bot):
    """Keeps what went wrong, and waits where a test wants it to."""

    def __init__(self, sandbox: Sandbox) -> None:
        # A guild is waited for this long after the last one; the default of 2 s would be paid by every test.
        super().__init__("!", intents=discord.Intents(guilds=True), guild_ready_timeout=0.05, help_command=None)
        self.sandbox = sandbox
        self.go_on = asyncio.Event()
        self.errors: asyncio.Queue[BaseException] = asyncio.Queue()
        self.received: list[int] = []
        self.readied = asyncio.Event()
        self.resumed = asyncio.Event()
        self.tree.error(self.keep_error)
        _add_commands(self)

    async def setup_hook(self) -> None:
        guild = discord.Object(self.sandbox.guild_id)
        self.tree.copy_global_to(guild=guild)
        await self.tree.sync(guild=guild)

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        self.received.append(interaction.id)

    async def on_ready(self) -> None:
        self.readied.set()

    async def on_resumed(self) -> None:
        self.resumed.set()

    async def keep_error(self, _interaction: discord.Interaction, error: Exception) -> None:
        await self.errors.put(getattr(error, "original", error))

    async def next_error(self) -> discord.HTTPException:
        error = await asyncio.wait_for(self.errors.get(), DEADLINE)
        assert isinstance(error, discord.HTTPException), repr(error)
        return error

    @property
    def ops(self) -> discord.TextChannel:
        channel = self.get_channel(self.sandbox.ops_channel_id)
        assert isinstance(channel, discord.TextChannel)
        return channel


class Buttons(discord.ui.View):
    def __init__(self) -> None:
        super().__init__(timeout=None)

    @discord.ui.button(label="Yes", custom_id="yes", style=discord.ButtonStyle.success)
    async def yes(self, interaction: discord.Interaction, _button: discord.ui.Button) -> None:
        await interaction.response.edit_message(content=f"yes by {interaction.user.name}", view=None)

    @discord.ui.button(label="Quiet", custom_id="quiet")
    async def quiet(self, interaction: discord.Interaction, _button: discord.ui.Button) -> None:
        await interaction.response.defer()
        await interaction.edit_original_response(content="edited quietly")

    @discord.ui.button(label="Off", custom_id="off", disabled=True)
    async def off(self, interaction: discord.Interaction, _button: discord.ui.Button) -> None:
        raise AssertionError("a disabled button was pressed")

    @discord.ui.select(custom_id="choose", options=[discord.SelectOption(label=item) for item in ("red", "blue")])
    async def choose(self, interaction: discord.Interaction, select: discord.ui.Select) -> None:
        await interaction.response.send_message(f"chose {select.values}", ephemeral=True)


class Form(discord.ui.Modal, title="Why"):
    reason = discord.ui.TextInput(label="Reason", custom_id="reason")

    async def on_submit(self, interaction: discord.Interaction) -> None:
        await interaction.response.send_message(f"because {self.reason.value}", ephemeral=True)


def _add_commands(bot: SmallBot) -> None:
    _add_answers(bot)
    _add_interface(bot.tree)


def _add_answers(bot: SmallBot) -> None:
    tree = bot.tree

    @tree.command(description="Say hello in an embed")
    async def hello(interaction: discord.Interaction, name: str, loud: bool = False) -> None:
        embed = discord.Embed(title="Hello", description=name.upper() if loud else name, color=0x3498DB)
        embed.add_field(name="Locale", value=str(interaction.locale))
        embed.set_footer(text="from the bot")
        await interaction.response.send_message("hi", embed=embed)

    @hello.autocomplete("name")
    async def _names(_interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        return [app_commands.Choice(name=item, value=item) for item in ("anna", "annika", "bob") if current in item]

    @tree.command(description="Answer in secret")
    async def secret(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("only for you", ephemeral=True)

    @tree.command(description="Defer, wait to be told, then answer")
    async def slow(interaction: discord.Interaction) -> None:
        await interaction.response.defer(ephemeral=True)
        await bot.go_on.wait()
        await interaction.edit_original_response(content="done at last")
        await interaction.followup.send("and one more thing", ephemeral=True)

    @tree.command(description="Answer only when it is too late")
    async def late(interaction: discord.Interaction) -> None:
        await bot.go_on.wait()
        await interaction.response.send_message("too late")

    @tree.command(description="Acknowledge twice")
    async def twice(interaction: discord.Interaction) -> None:
        response = interaction.response
        await response.send_message("first")
        response._response_type = None  # discord.py itself would refuse; another session would not know.
        await response.send_message("second")

    @tree.command(description="Send too much")
    async def long(interaction: discord.Interaction) -> None:
        embeds = [discord.Embed(description="x" * 3500) for _ in range(2)]
        await interaction.response.send_message(embeds=embeds)


def _add_interface(tree: app_commands.CommandTree) -> None:
    @tree.command(description="Offer buttons")
    async def buttons(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("choose", view=Buttons())

    @tree.command(description="Open a form")
    async def form(interaction: discord.Interaction) -> None:
        await interaction.response.send_modal(Form())

    @tree.command(description="For managers of the guild")
    @app_commands.default_permissions(manage_guild=True)
    async def hidden(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("you may not", ephemeral=True)

    group = app_commands.Group(name="group", description="A group")

    @group.command(description="A subcommand")
    async def inner(interaction: discord.Interaction, count: app_commands.Range[int, 1, 5]) -> None:
        await interaction.response.send_message(f"inner {count}")

    tree.add_command(group)


class RunningBot:
    """Run a small bot for the length of a block; whatever ends it early fails the test."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.bot = SmallBot(sandbox)

    async def __aenter__(self) -> SmallBot:
        self._task = asyncio.create_task(self.bot.start(self.bot.sandbox.bot_token))
        ready = asyncio.create_task(self.bot.readied.wait())
        done, _ = await asyncio.wait({self._task, ready}, return_when=asyncio.FIRST_COMPLETED, timeout=DEADLINE)
        if ready not in done:
            ready.cancel()
            if self._task in done:
                await self._task
            raise AssertionError("the bot did not become ready")
        return self.bot

    async def __aexit__(self, *_: object) -> None:
        await self.bot.close()
        await self._task
