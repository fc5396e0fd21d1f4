"""Hold the application commands of our cogs as one set, and remove no other command.

discord.py removes a cog's commands by name: after `copy_global_to`, or where the guild is not known any more, that is
the command of the bot around it. So the cogs' commands are in the tree by our own doing, each known by its identity.
"""

from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from roas.ui.command_translator import mark_as_ours

Command = app_commands.Command[Any, ..., Any] | app_commands.Group
Tree = app_commands.CommandTree[Any]


class CommandSet:
    """Add the commands of some cogs to one guild, all or none, and remove just these.

    With a group's name they are its children: `/roas deploy` in the place of `/deploy`.
    """

    def __init__(self, tree: Tree, guild: discord.abc.Snowflake, group_name: str | None = None) -> None:
        self._tree = tree
        self._guild = guild
        self._commands: list[Command] = []
        self._group: app_commands.Group | None = None
        if group_name is not None:
            self._group = app_commands.Group(
                name=group_name, description="Deploy, watch and roll back what runs", guild_only=True
            )
            mark_as_ours(self._group)
            self._commands.append(self._group)

    def take(self, cog: commands.Cog) -> None:
        """Take over the commands of a cog that is not added yet; they stay bound to it."""
        for command in cog.get_app_commands():
            mark_as_ours(command)
            if self._group is not None:
                self._group.add_command(command)
            else:
                self._commands.append(command)
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
        """Remove every command that is still ours; one that took its place belongs to the host bot."""
        for command in self._present():
            self._tree.remove_command(command.name, guild=self._guild)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names by which people find the commands: the group's, or each one's own."""
        return tuple(command.name for command in self._commands)

    @property
    def replaced(self) -> tuple[str, ...]:
        """Return the names that commands of the host bot have taken, as after `copy_global_to`."""
        return tuple(one.name for one in self._commands if self._there(one) not in {None, one})

    @property
    def removed(self) -> tuple[str, ...]:
        """Return the names that the host bot has removed, as by `clear_commands`."""
        return tuple(one.name for one in self._commands if self._there(one) is None)

    def _present(self) -> list[Command]:
        return [one for one in self._commands if self._there(one) is one]

    def _there(self, command: Command) -> Any:
        return self._tree.get_command(command.name, guild=self._guild)
