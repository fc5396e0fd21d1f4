"""Find out which roles of the settings are none of the server's, and which of those that are mentioned ring nobody."""

from collections.abc import Iterator, Mapping
from typing import Any

from roas.settings import Settings

MENTION_EVERYONE = 1 << 17

Document = Mapping[str, Any]


def unknown_roles(guild: Document, settings: Settings) -> tuple[str, ...]:
    """Return the ids that no role of the server has, each with its setting."""
    there = {str(role["id"]) for role in guild["roles"]}
    return tuple(f"{role} ({setting})" for setting, role in named_roles(settings) if str(role) not in there)


def silent_roles(guild: Document, settings: Settings, held: int) -> tuple[str, ...]:
    """Return the names of roles that are to be mentioned and whose members Discord does not notify.

    It does where anyone may mention the role, or the bot, by the permissions that it has held, all roles.
    """
    if held & MENTION_EVERYONE:
        return ()
    mentioned = {str(role) for _, role in _mentioned(settings)}
    found = (role for role in guild["roles"] if str(role["id"]) in mentioned and not role.get("mentionable"))
    return tuple(str(role.get("name") or role["id"]) for role in found)


def named_roles(settings: Settings) -> Iterator[tuple[str, int]]:
    """Yield each role of the settings, with the name of its setting before it."""
    for role in sorted(settings.discord_deployer_role_ids):
        yield "DISCORD_DEPLOYER_ROLE_IDS", role
    for role in sorted(settings.discord_approver_role_ids):
        yield "DISCORD_APPROVER_ROLE_IDS", role
    for role in sorted(settings.discord_hotfix_role_ids):
        yield "DISCORD_HOTFIX_ROLE_IDS", role
    if settings.discord_alert_role_id is not None:
        yield "DISCORD_ALERT_ROLE_ID", settings.discord_alert_role_id


def _mentioned(settings: Settings) -> Iterator[tuple[str, int]]:
    unless = set() if settings.discord_mention_approvers else {"DISCORD_APPROVER_ROLE_IDS"}
    wanted = {"DISCORD_ALERT_ROLE_ID", "DISCORD_APPROVER_ROLE_IDS"} - unless
    return ((setting, role) for setting, role in named_roles(settings) if setting in wanted)
