"""Refuse to come into a bot that has something under our names, before anything is added to it."""

from collections.abc import Iterable
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from roas.errors import NameClashError

SETTING = "ROAS_DISCORD_COMMAND_GROUP"
MOST_COMMANDS = 100
OWN_GROUP = (
    f"Set {SETTING} to a name that is free, such as `roas`: then all of ours are in that group (`/roas deploy`)."
)


def refuse_clashes(
    bot: commands.Bot, guild: discord.Object, command_names: Iterable[str], cog_names: Iterable[str]
) -> None:
    """Raise NameClashError where the bot has a cog, or in the guild or globally a command, of one of these names.

    Discord takes both a global command and one of the guild, and shows only the guild's there.
    """
    names = tuple(command_names)
    cogs = [name for name in cog_names if bot.get_cog(name) is not None]
    if cogs:
        raise NameClashError(
            f"This bot has a cog called {_listed(cogs)} already.",
            hint="Give that cog another name; those that begin with ROAS are the extension's.",
        )
    there = {command.name for command in bot.tree.get_commands(guild=guild, type=discord.AppCommandType.chat_input)}
    if taken := [f"/{name}" for name in names if name in there]:
        raise NameClashError(f"This bot has {_listed(taken)} in the server {guild.id} already.", hint=OWN_GROUP)
    if len(there) + len(names) > MOST_COMMANDS:
        raise NameClashError(
            f"This bot has {len(there)} commands in the server {guild.id}; Discord takes {MOST_COMMANDS}, "
            f"and the extension brings {len(names)}.",
            hint=OWN_GROUP,
        )
    if hidden := hidden_commands(bot.tree, names):
        raise NameClashError(
            f"This bot has {_listed(hidden)} as a global command, which would be hidden in the server {guild.id}.",
            hint=OWN_GROUP,
        )


def hidden_commands(tree: app_commands.CommandTree[Any], names: Iterable[str]) -> tuple[str, ...]:
    """Return the global commands that a guild's commands of these names hide there."""
    everywhere = {command.name for command in tree.get_commands(type=discord.AppCommandType.chat_input)}
    return tuple(f"/{name}" for name in names if name in everywhere)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
