"""Be somebody's bot: its own everything, and it does what its standard input says, a word a line."""

import asyncio
import json
import logging
import os
import sys
import threading
from pathlib import Path

import discord
import structlog
import yarl
from discord import app_commands
from discord.ext import commands
from discord.gateway import DiscordWebSocket
from discord.http import Route
from host_state import host_state, settled

EXTENSION = os.environ["EXTENSION"]
LOGS = os.environ["LOGS_MODULE"]
Route.BASE = os.environ["DISCORD_API_URL"]
DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(os.environ["DISCORD_GATEWAY_URL"])


class OwnTranslator(app_commands.Translator):
    """Count how often somebody meddles with it."""

    calls = 0

    async def load(self) -> None:
        self.calls += 1

    async def unload(self) -> None:
        self.calls += 1

    async def translate(self, string: object, locale: object, context: object) -> str | None:
        return None


class OwnTree(app_commands.CommandTree):
    """Answer for faults in a way of its own."""

    async def on_error(self, interaction: discord.Interaction, error: app_commands.AppCommandError) -> None:
        await interaction.response.send_message(f"the host's fault: {type(error).__name__}")


class Wave(discord.ui.View):
    """Outlive the process."""

    def __init__(self) -> None:
        super().__init__(timeout=None)

    @discord.ui.button(label="Wave", custom_id="host:wave")
    async def wave(self, interaction: discord.Interaction, _button: discord.ui.Button) -> None:
        await interaction.response.send_message("the host waves")


@app_commands.command(description="The host's own status")
async def status(interaction: discord.Interaction) -> None:
    await interaction.response.send_message("the host is well", view=Wave())


@app_commands.command(description="The host's own hello")
async def hello(interaction: discord.Interaction) -> None:
    await interaction.response.send_message("hello from the host")


@app_commands.context_menu(name="Greet")
async def greet(interaction: discord.Interaction, member: discord.Member) -> None:
    await interaction.response.send_message(f"greetings, {member}")


class Host(commands.Bot):
    """Have something of everything that an extension could harm."""

    roas = {"an attribute": "of the host's"}  # noqa: RUF012 - as people write it
    server = discord.Object(int(os.environ["HOST_SERVER"]))

    async def setup_hook(self) -> None:
        logging.getLogger("host").info("begins")
        await self.tree.set_translator(OwnTranslator())
        if os.environ.get("GLOBAL_STATUS"):
            self.tree.add_command(status)
        self.tree.add_command(hello, guild=self.server)
        if os.environ.get("GUILD_STATUS"):
            self.tree.add_command(status, guild=self.server)
        self.tree.add_command(greet, guild=self.server)
        self.add_view(Wave())
        self.add_check(lambda context: True)
        await self.load_extension(LOGS)
        await self.tree.sync()
        await self.tree.sync(guild=self.server)
        self.orders = asyncio.create_task(self.take_orders(), name="orders")
        self.timer = asyncio.create_task(asyncio.Event().wait(), name="the host's timer")

    async def take_orders(self) -> None:
        await self.wait_until_ready()
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        before = host_state(self)
        tell(ready=True)
        while line := (await reader.readline()).decode().strip():
            try:
                tell(**await self.obey(line, before))
            except commands.ExtensionError as error:
                original = getattr(error, "original", error)
                tell(error=type(original).__name__, message=str(original), hint=getattr(original, "hint", ""))
        await self.close()

    async def obey(self, order: str, before: dict[str, object]) -> dict[str, object]:
        match order:
            case "load":
                await self.load_extension(EXTENSION)
                await self.get_cog("ROAS").wait_until_leader()
            case "unload":
                await self.unload_extension(EXTENSION)
            case "reload":
                await self.reload_extension(EXTENSION)
                await self.get_cog("ROAS").wait_until_leader()
            case "copy":
                self.tree.add_command(status)
                self.tree.copy_global_to(guild=self.server)
            case "clear":
                self.tree.clear_commands(guild=self.server)
                await self.tree.sync(guild=self.server)
            case "changed":
                return {"changed": await settled(self, before), "translator": self.tree.translator.calls}
            case "modules":
                return {
                    "modules": sorted(name for name in sys.modules if name.split(".")[0] in {"bot", "cogs", "roas"})
                }
        return {"done": order}


def tell(**facts: object) -> None:
    print(json.dumps(facts, default=str), flush=True)


def log_as_the_host_does() -> None:
    """Keep a log file of its own, and a configuration of structlog."""
    handler = logging.FileHandler("host.log")
    handler.setFormatter(logging.Formatter("HOST %(levelname)s %(name)s %(message)s"))
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)
    structlog.configure(processors=[structlog.processors.JSONRenderer()])


if __name__ == "__main__":
    log_as_the_host_does()
    stop = threading.Event()
    threading.Thread(target=stop.wait, name="the host's thread", daemon=True).start()
    with Path("host.data").open("w") as _file:
        Host(command_prefix="!", intents=discord.Intents(guilds=True), tree_cls=OwnTree).run(
            os.environ["HOST_TOKEN"], log_handler=None
        )
    stop.set()
