"""Compute what a member may do in a channel, by Discord's rules."""

from collections.abc import Iterable, Mapping
from typing import Any

ADMINISTRATOR = 1 << 3
NEEDED = {
    "View Channel": 1 << 10,
    "Send Messages": 1 << 11,
    "Embed Links": 1 << 14,
    "Attach Files": 1 << 15,
    "Read Message History": 1 << 16,
}

Document = Mapping[str, Any]


def missing_permissions(guild: Document, member: Document, channel: Document) -> tuple[str, ...]:
    """Return the names of what the bot needs in the channel and does not have."""
    held = effective_permissions(guild, member, channel)
    if not held & NEEDED["View Channel"]:
        held = 0  # without it nothing else counts
    return tuple(name for name, bit in NEEDED.items() if not held & bit)


def effective_permissions(guild: Document, member: Document, channel: Document) -> int:
    """Return the permission bits of a member in a channel.

    Roles add up; then the channel's overwrites of @everyone, of all roles together and of the member, in that order.
    """
    everyone, member_id = str(guild["id"]), str(member["user"]["id"])
    roles = {str(role) for role in member.get("roles", ())}
    base = _either(int(role["permissions"]) for role in guild["roles"] if str(role["id"]) in roles | {everyone})
    if base & ADMINISTRATOR or str(guild.get("owner_id")) == member_id:
        return ~0
    overwrites = {str(entry["id"]): entry for entry in channel.get("permission_overwrites") or ()}
    for ids in ({everyone}, roles - {everyone}, {member_id}):
        entries = [overwrites[one] for one in ids if one in overwrites]
        base &= ~_either(int(entry["deny"]) for entry in entries)
        base |= _either(int(entry["allow"]) for entry in entries)
    return base


def _either(bits: Iterable[int]) -> int:
    every_bit = 0
    for one in bits:
        every_bit |= one
    return every_bit
