"""The guild that the sandbox offers: one ops channel, four roles, four people."""

from __future__ import annotations

from typing import Any

from sandbox.errors import ControlError
from sandbox.simcord_bridge import Bridge

ROLE_COLORS = {"deployer": 0x3498DB, "approver": 0x2ECC71, "hotfix": 0xE67E22, "alert": 0xE74C3C}
PEOPLE: dict[str, list[str]] = {
    "dora": ["deployer"],
    "anna": ["approver", "deployer"],
    "hugo": ["hotfix"],
    "bob": [],
}
OPS = "ops"
# The locales of Discord's reference that the product supports, and one that it does not.
LOCALES = ("en-US", "zh-TW", "de")


class World:
    """Names for what is in the guild, so that tests and people need no ids."""

    def __init__(self, bridge: Bridge) -> None:
        self.bridge = bridge
        self.guild_id = bridge.create_guild("ROAS Sandbox")
        self.ops_channel_id = bridge.create_channel(self.guild_id, OPS)
        self.other_channel_id = bridge.create_channel(self.guild_id, "general")
        self.roles = {name: bridge.create_role(self.guild_id, name, color) for name, color in ROLE_COLORS.items()}
        self.users: dict[str, int] = {}
        self.locales: dict[int, str] = {}
        for name, roles in PEOPLE.items():
            self.add_user(name, roles)

    def add_user(self, name: str, roles: list[str]) -> int:
        """Add a person to the guild with these roles."""
        if name in self.users:
            raise ControlError(f"there is already a user {name!r}")
        self.users[name] = self.bridge.create_member(self.guild_id, name, [self.role(role) for role in roles])
        return self.users[name]

    def set_roles(self, user: str | int, roles: list[str]) -> None:
        """Replace a person's roles."""
        self.bridge.set_member_roles(self.guild_id, self.user(user), [self.role(role) for role in roles])

    def role(self, name: str) -> int:
        """Return the id of a role."""
        if name not in self.roles:
            raise ControlError(f"there is no role {name!r}; there are {', '.join(self.roles)}", 404)
        return self.roles[name]

    def user(self, user: str | int) -> int:
        """Return the id of a person named by name or id."""
        if user in self.users:
            return self.users[str(user)]
        if str(user).isdecimal() and int(user) in self.users.values():
            return int(user)
        raise ControlError(f"there is no user {user!r}; there are {', '.join(self.users)}", 404)

    def create_channel(self, name: str) -> int:
        """Create a channel; two of one name would be hard to distinguish."""
        if name in self.bridge.channel_names().values():
            raise ControlError(f"there is already a channel {name!r}")
        return self.bridge.create_channel(self.guild_id, name)

    def channel(self, channel: str | int | None) -> int:
        """Return the id of a channel named by name or id; the ops channel if none is named."""
        if channel is None:
            channel = OPS
        names = self.bridge.channel_names()
        for channel_id, name in names.items():
            if str(channel) in (name, str(channel_id)):
                return channel_id
        raise ControlError(f"there is no channel {channel!r}; there are {', '.join(names.values())}", 404)

    def locale(self, user_id: int) -> str:
        """Return the language that a person has set in their client."""
        return self.locales.get(user_id, "en-US")

    def describe(self) -> dict[str, Any]:
        """Return who and what there is, by name, with ids as text since a browser cannot count that far."""
        return {
            "users": {
                name: {
                    "id": str(user),
                    "roles": [str(member_role) for member_role in self.bridge.member_roles(self.guild_id, user)],
                }
                for name, user in self.users.items()
            },
            "guild": {"id": str(self.guild_id), "locale": self.bridge.guild_locale(self.guild_id)},
            "roles": {name: {"id": str(role)} for name, role in self.roles.items()},
            "channels": {name: {"id": str(channel)} for channel, name in self.bridge.channel_names().items()},
        }
