"""Hold the application commands of our cogs as one set, and take away no command but these.

discord.py removes a cog's commands by name: after `copy_global_to`, or where the guild is not known any more, that is
the command of the bot around it. So the cogs' commands are in the tree by our own doing, each known by its identity.
"""

from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

Command = app_commands.Command[Any, ..., Any] | app_commands.Group
Tree = app_commands.CommandTree[Any]


class CommandSet:
    """Add the commands of some cogs to one guild, all or none, and remove just these."""

    def __init__(self, tree: Tree, guild: discord.abc.Snowflake) -> None:
        self._tree = tree
        self._guild = guild
        self._commands: list[Command] = []

    def take(self, cog: commands.Cog) -> None:
        """Take charge of the commands of a cog that is not added yet; they stay bound to it."""
        self._commands += cog.get_app_commands()
        cog.__cog_app_commands__ = []  # what discord.py would add and, by name, remove

    def add(self) -> None:
        """Add every command. Raises discord.app_commands.CommandAlreadyRegistered, CommandLimitReached."""
        try:
            for command in self._commands:
                self._tree.add_command(command, guild=self._guild)
        except app_commands.AppCommandError:
            self.remove()
            raise

    def remove(self) -> None:
        """Remove every command that is still ours; one that took its place is somebody else's."""
        for command in self._commands:
            if self._tree.get_command(command.name, guild=self._guild) is command:
                self._tree.remove_command(command.name, guild=self._guild)
