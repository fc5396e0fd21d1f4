"""Register the commands with Discord: which there are, what they clash with, and when they are sent."""

import hashlib
import json
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from roas.errors import NameClashError
from roas.log import get_logger
from roas.models.post import Post
from roas.state.manager import StateManager
from roas.ui.command_names import mark_as_ours

log = get_logger(__name__)

SETTING = "ROAS_DISCORD_COMMAND_GROUP"
MOST_COMMANDS = 100
OWN_GROUP = (
    f"Set {SETTING} to a name that is free, such as `roas`: then all of ours are in that group (`/roas deploy`)."
)


class CogName(StrEnum):
    """What the cogs are called; all begin alike, so that a clash with one of the host bot is a deliberate one."""

    APPLICATION = "ROAS"
    ALERTS = "ROAS Alerts"
    DEPLOYMENT = "ROAS Deployment"
    FREEZE = "ROAS Freeze"
    HISTORY = "ROAS History"
    LOGS = "ROAS Logs"
    SERVICES = "ROAS Services"
    STATUS = "ROAS Status"


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


Command = app_commands.Command[Any, ..., Any] | app_commands.Group | app_commands.ContextMenu
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
        return tuple(command.name for command in self._commands if self._there(command) not in {None, command})

    @property
    def removed(self) -> tuple[str, ...]:
        """Return the names that the host bot has removed, as by `clear_commands`."""
        return tuple(command.name for command in self._commands if self._there(command) is None)

    def _present(self) -> list[Command]:
        return [command for command in self._commands if self._there(command) is command]

    def _there(self, command: Command) -> Any:
        return self._tree.get_command(command.name, guild=self._guild)


KIND = "commands"


class CommandSync:
    """Sync one guild's commands; how they were last is kept in the journal, as a post of its own kind."""

    def __init__(self, bot: commands.Bot, state: StateManager, guild_id: int, ours: CommandSet) -> None:
        self._bot = bot
        self._state = state
        self._guild = discord.Object(guild_id)
        self._ours = ours
        self._reported: tuple[tuple[str, tuple[str, ...], str], ...] = ()
        self._has_synced = False
        self._sync_tree = bot.tree.sync

    def watch_host(self) -> None:
        """Look at our commands whenever the host syncs the tree: discord.py sends no event for what it did to them."""
        self._sync_tree = self._bot.tree.sync
        self._bot.tree.sync = self._sync_and_check  # type: ignore[method-assign]

    def leave_host(self) -> None:
        """Leave the tree as it was found."""
        tree = self._bot.tree
        if tree.sync == self._sync_and_check:
            if getattr(self._sync_tree, "__func__", None) is type(tree).sync:
                del tree.sync  # the class's own shows again
            else:
                tree.sync = self._sync_tree  # type: ignore[method-assign]

    async def _sync_and_check(self, *, guild: discord.abc.Snowflake | None = None) -> list[app_commands.AppCommand]:
        self.report_changes()
        return await self._sync_tree(guild=guild)

    async def run(self) -> bool:
        """Sync where the payload changed, or Discord has lost the commands; returns whether it did.

        Raises discord.HTTPException, discord.app_commands.CommandSyncFailure.
        """
        self.report_changes()
        wanted = await self._hash()
        known = await self._state.posts.get(self._subject, KIND)
        if known is not None and known.content_hash == wanted and await self._discord_has_them():
            return False
        self._has_synced = True  # also where this is cancelled before Discord's answer
        await self._bot.tree.sync(guild=self._guild)
        await self._state.posts.save(Post(self._subject, KIND, self._guild.id, content_hash=wanted, finished=True))
        log.info("commands were synced", guild_id=self._guild.id)
        return True

    def report_changes(self) -> None:
        """Log, once, which of our commands the host bot has overridden or removed, and which hide some of its own."""
        found = tuple(
            (what, names, hint)
            for what, names, hint in (
                (
                    "commands of this bot override commands of roas",
                    tuple(f"/{name}" for name in self._ours.replaced),
                    f"`copy_global_to` puts global commands over those of the server. {OWN_GROUP}",
                ),
                (
                    "this bot has removed commands of roas",
                    tuple(f"/{name}" for name in self._ours.removed),
                    "`clear_commands` removes all commands of the server: reload the extension after it.",
                ),
                (
                    "commands of roas hide global commands of this bot",
                    hidden_commands(self._bot.tree, self._ours.names),
                    OWN_GROUP,
                ),
            )
            if names
        )
        for what, names, hint in found if found != self._reported else ():
            log.error(what, commands=", ".join(names), hint=hint)
        self._reported = found

    async def withdraw(self) -> None:
        """Sync the remaining commands, where ours were synced before; raises as `run` does."""
        if not self._has_synced and await self._state.posts.get(self._subject, KIND) is None:
            return
        await self._bot.tree.sync(guild=self._guild)
        left = Post(self._subject, KIND, self._guild.id, content_hash=await self._hash(), finished=True)
        await self._state.posts.save(left)
        log.info("commands were withdrawn", guild_id=self._guild.id)

    @property
    def _subject(self) -> str:
        return f"{KIND}:{self._bot.application_id}:{self._guild.id}"

    async def _discord_has_them(self) -> bool:
        """Compare names only: a bot that was removed and invited again has lost all of its commands."""
        there = {command.name for command in await self._bot.tree.fetch_commands(guild=self._guild)}
        return there >= {command.name for command in self._bot.tree.get_commands(guild=self._guild)}

    async def _hash(self) -> str:
        payload = [await self._payload(command) for command in self._bot.tree.get_commands(guild=self._guild)]
        ordered = sorted(payload, key=lambda command: str(command.get("name")))
        return hashlib.sha256(json.dumps(ordered, sort_keys=True, default=str).encode()).hexdigest()

    async def _payload(self, command: Command) -> dict[str, Any]:
        """Return the payload of a command, in every language."""
        tree = self._bot.tree
        if tree.translator is None:
            return command.to_dict(tree)
        return await command.get_translated_payload(tree, tree.translator)
