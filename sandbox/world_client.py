"""Plays what happens to the people and to the bot at Discord, through the control API."""

from __future__ import annotations

from typing import Any

from sandbox.control_connection import ControlConnection
from sandbox.views import Message


class WorldClient(ControlConnection):
    """Add and change people, channels, permissions and faults of a sandbox."""

    async def add_user(self, name: str, *roles: str) -> int:
        """Add a member with these roles."""
        return int((await self.post("users", {"name": name, "roles": list(roles)}))["id"])

    async def set_roles(self, user: str | int, *roles: str) -> None:
        """Replace a member's roles."""
        await self.post("roles", {"user": user, "roles": list(roles)})

    async def set_guild_locale(self, locale: str) -> None:
        """Set the guild's preferred locale, which is the channel's."""
        await self.post("guild_locale", {"locale": locale})

    async def set_locale(self, user: str | int, locale: str) -> None:
        """Set the language of a person's client."""
        await self.post("locale", {"user": user, "locale": locale})

    async def deny_bot(self, *permissions: str, channel: str | int | None = None) -> None:
        """Remove permissions (by discord.py's names) from the bot in a channel; without names, restore all."""
        await self.post("deny", {"channel": channel, "permissions": list(permissions)})

    async def delete_message(self, message: int | Message, *, channel: str | int | None = None) -> None:
        """Delete a message, as a moderator would."""
        message_id = message.id if isinstance(message, Message) else message
        await self.post("delete_message", {"channel": channel, "message_id": str(message_id)})

    async def delete_channel(self, channel: str | int | None = None) -> None:
        """Delete a channel with all that is in it."""
        await self.post("delete_channel", {"channel": channel})

    async def create_channel(self, name: str) -> int:
        """Create a text channel and return its id; one named `ops` is the default channel for people."""
        return int((await self.post("create_channel", {"name": name}))["id"])

    async def advance(self, seconds: float) -> None:
        """Advance the interactions' deadlines without waiting."""
        await self.post("advance", {"seconds": seconds})

    async def add_fault(self, **fault: Any) -> None:
        """Order a fault; the arguments are those of `sandbox.faults.Fault`."""
        await self.post("faults", fault)

    async def clear_faults(self) -> None:
        """Withdraw every fault that is not used up."""
        await self.post("faults", {})

    async def disconnect(self, code: int = 4000, *, resumable: bool = True) -> int:
        """Cut every gateway connection and say how many there were."""
        return int((await self.post("disconnect", {"code": code, "resumable": resumable}))["cut"])

    async def take_gateway_away(self) -> None:
        """Cut every gateway connection and refuse new ones, until it is brought back."""
        await self.post("gateway", {"away": True})

    async def bring_gateway_back(self) -> None:
        """Let bots connect again."""
        await self.post("gateway", {"away": False})
