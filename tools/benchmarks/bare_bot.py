"""The libraries alone: what a bot of ours loads of others, one command at Discord, and then nothing but the connection.

`tools.benchmarks.bare_bot` is a process of its own, which takes its settings as the bot does. No bot made of these
libraries starts faster, holds less or rests more.
"""

import asyncio
import gc
import importlib
import os

# As the bot does it: Python looks for cycles in what is imported hundreds of times, and finds none.
OBJECTS_BETWEEN_COLLECTIONS = 200_000
COMMAND = "bare"
LIBRARIES = (
    "aiohttp.web",
    "cronsim",
    "discord.ext.commands",
    "docker",
    "prometheus_client",
    "pydantic_settings",
    "structlog",
    "typer",
    "ulid",
    "yaml",
)


async def run() -> None:
    """Stay connected until the process is ended."""
    import discord
    import yarl
    from discord import app_commands
    from discord.gateway import DiscordWebSocket
    from discord.http import Route

    Route.BASE = os.environ["DISCORD_API_URL"]
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(os.environ["DISCORD_GATEWAY_URL"])
    guild = discord.Object(int(os.environ["DISCORD_GUILD_ID"]))

    class Client(discord.Client):
        async def setup_hook(self) -> None:
            await tree.sync(guild=guild)

    client = Client(
        intents=discord.Intents(guilds=True),
        member_cache_flags=discord.MemberCacheFlags.none(),
        chunk_guilds_at_startup=False,
        max_messages=None,
    )
    tree = app_commands.CommandTree(client)

    @tree.command(name=COMMAND, description="Do nothing.", guild=guild)
    async def do_nothing(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("Nothing.", ephemeral=True)

    await client.start(os.environ["DISCORD_TOKEN"])


if __name__ == "__main__":
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    for library in LIBRARIES:
        importlib.import_module(library)
    asyncio.run(run())
