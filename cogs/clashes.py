"""Refuse to come into a bot that has something under our names, before anything is added to it."""

from collections.abc import Iterable

import discord
from discord.ext import commands

from roas.errors import NameClashError
from roas.log import get_logger

log = get_logger(__name__)

SETTING = "ROAS_DISCORD_COMMAND_GROUP"
MOST_COMMANDS = 100
OWN_GROUP = (
    f"Set {SETTING} to a name that is free, such as `roas`: then all of ours are in that group (`/roas deploy`)."
)


def refuse_clashes(
    bot: commands.Bot, guild: discord.Object, command_names: Iterable[str], cog_names: Iterable[str]
) -> None:
    """Raise NameClashError where the bot has a cog, or in the guild a command, of one of these names.

    A global command of such a name is the bot's too, but both can be there: Discord keeps them apart.
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
    everywhere = {command.name for command in bot.tree.get_commands(type=discord.AppCommandType.chat_input)}
    if shared := [f"/{name}" for name in names if name in everywhere]:
        log.warning("the bot has global commands of the same names", commands=_listed(shared), hint=OWN_GROUP)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
