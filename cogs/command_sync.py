"""Sync the commands with Discord, only when they differ from the registered ones."""

import hashlib
import json
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from roas.cogs.clashes import OWN_GROUP, hidden_commands
from roas.cogs.command_set import CommandSet
from roas.log import get_logger
from roas.models.post import Post
from roas.state.manager import StateManager

log = get_logger(__name__)

KIND = "commands"

Command = app_commands.Command[Any, ..., Any] | app_commands.Group | app_commands.ContextMenu


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
        self._bot.tree.sync = self._sync_and_look  # type: ignore[method-assign]

    def leave_host(self) -> None:
        """Leave the tree as it was found."""
        tree = self._bot.tree
        if tree.sync == self._sync_and_look:
            if getattr(self._sync_tree, "__func__", None) is type(tree).sync:
                del tree.sync  # the class's own shows again
            else:
                tree.sync = self._sync_tree  # type: ignore[method-assign]

    async def _sync_and_look(self, *, guild: discord.abc.Snowflake | None = None) -> list[app_commands.AppCommand]:
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
