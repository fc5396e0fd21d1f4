"""Sync the commands with Discord, only when they differ from the registered ones."""

import hashlib
import json
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from roas.cogs.clashes import OWN_GROUP
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
        self._reported: tuple[str, ...] = ()
        self._has_synced = False

    async def run(self) -> bool:
        """Sync where the payload changed, or Discord has lost the commands; returns whether it did.

        Raises discord.HTTPException, discord.app_commands.CommandSyncFailure.
        """
        self.report_replaced()
        wanted = await self._hash()
        known = await self._state.posts.get(self._subject, KIND)
        if known is not None and known.content_hash == wanted and await self._discord_has_them():
            return False
        self._has_synced = True  # also where this is cancelled before Discord's answer
        await self._bot.tree.sync(guild=self._guild)
        await self._state.posts.save(Post(self._subject, KIND, self._guild.id, content_hash=wanted, finished=True))
        log.info("commands were synced", guild_id=self._guild.id)
        return True

    def report_replaced(self) -> None:
        """Log, once, which of our commands the host bot has overridden."""
        replaced = self._ours.replaced
        if replaced and replaced != self._reported:
            log.error(
                "commands of this bot override commands of roas",
                commands=", ".join(f"/{name}" for name in replaced),
                hint=f"`copy_global_to` puts global commands over those of the server. {OWN_GROUP}",
            )
        self._reported = replaced

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
