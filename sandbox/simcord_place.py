"""The guild of the sandbox: its channels, roles and members, and what the bot may do there."""

from __future__ import annotations

import discord
from simcord.backend.models import Overwrite
from simcord.enums import OverwriteType

from sandbox.errors import ControlError
from sandbox.simcord_backend import SandboxBackend


class Place:
    """Make and change the place and the people in it, by plain data."""

    def __init__(self, backend: SandboxBackend) -> None:
        self._backend = backend

    def create_guild(self, name: str) -> int:
        """Create a guild that the bot is a member of, with the rights of a usual invitation."""
        return self._backend.create_guild(name).id

    def create_channel(self, guild_id: int, name: str) -> int:
        """Create a text channel."""
        return self._backend.create_channel(guild_id, name).id

    def delete_channel(self, channel_id: int) -> None:
        """Delete a channel with all that is in it, and notify the bot."""
        self._backend.delete_channel(channel_id)

    def delete_message(self, channel_id: int, message_id: int) -> None:
        """Delete a message as a moderator would, and notify the bot. Raises ControlError."""
        if not self.message_exists(channel_id, message_id):
            raise ControlError(f"there is no message {message_id} in that channel", 404)
        self._backend.delete_message(channel_id, message_id)

    def create_role(self, guild_id: int, name: str, color: int) -> int:
        """Create a role below the bot's own."""
        return self._backend.create_role(guild_id, name, color=color).id

    def create_member(self, guild_id: int, name: str, role_ids: list[int]) -> int:
        """Create a user who is a member of the guild."""
        user = self._backend.make_user(name, global_name=name.capitalize())
        self._backend.add_member(guild_id, user.id, roles=role_ids, announce=True)
        return user.id

    def guild_locale(self, guild_id: int) -> str:
        """Return the language that a guild prefers."""
        return self._backend.get_guild(guild_id).preferred_locale

    def set_guild_locale(self, guild_id: int, locale: str) -> None:
        """Set a guild's preferred locale, and notify the bot."""
        self._backend.edit_guild(guild_id, {"preferred_locale": locale})

    def set_member_roles(self, guild_id: int, user_id: int, role_ids: list[int]) -> None:
        """Replace the roles of a member."""
        self._backend.edit_member(guild_id, user_id, {"role_ids": role_ids})

    def member_roles(self, guild_id: int, user_id: int) -> list[int]:
        """Return the roles of a member."""
        return list(self._backend.get_member(guild_id, user_id).role_ids)

    def deny_bot(self, channel_id: int, permissions: list[str]) -> None:
        """Remove these permissions (by discord.py's names) from the bot in a channel; none restores all."""
        denied = discord.Permissions(**dict.fromkeys(permissions, True)).value
        overwrite = Overwrite(self._backend.bot_user.id, OverwriteType.MEMBER, deny=denied)
        self._backend.edit_channel(channel_id, {}, overwrites=[overwrite] if denied else [])

    def bot_may(self, channel_id: int, permission: str) -> bool:
        """Return whether the bot has a permission (by discord.py's name) in a channel; always true outside a guild."""
        channel = self._backend.channels.get(channel_id)
        if channel is None or channel.guild_id is None:
            return True
        held = self._backend.compute_permissions(channel.guild_id, self._backend.bot_user.id, channel_id)
        return bool(getattr(discord.Permissions(held), permission))

    def channel_names(self) -> dict[int, str]:
        """Return the names of the guild channels by id."""
        return {channel.id: channel.name or "" for channel in self._backend.channels.values() if channel.guild_id}

    def advance_clock(self, seconds: float) -> None:
        """Advance the interaction deadlines, without waiting."""
        self._backend.advance_clock(seconds)

    def message_exists(self, channel_id: int, message_id: int) -> bool:
        """Return whether the message still exists."""
        return message_id in self._backend.messages.get(channel_id, {})
