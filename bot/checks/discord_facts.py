"""Ask Discord's REST interface about the token, the guild and the channel, without a running bot."""

import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, cast

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from roas.concurrency import in_daemon_thread, run_concurrently
from roas.configuration.settings import Settings
from roas.messages.message import said
from roas.models.facts import DiscordFacts
from roas.version import __version__

ADMINISTRATOR = 1 << 3
NEEDED = {
    "View Channel": 1 << 10,
    "Send Messages": 1 << 11,
    "Embed Links": 1 << 14,
    "Attach Files": 1 << 15,
    "Read Message History": 1 << 16,
}

Document = Mapping[str, Any]
MENTION_EVERYONE = 1 << 17
DEFAULT_API_URL = "https://discord.com/api/v10"
REQUEST_SECONDS = 5.0
# Text channels and announcement channels take messages from a bot; so do threads.
MESSAGE_CHANNEL_TYPES = frozenset({0, 5, 10, 11, 12})
# What an answer leads to that Discord would not give: another server may be behind DISCORD_API_URL, or a proxy.
STRANGE = (ValueError, LookupError, TypeError, AttributeError)


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
        entries = [overwrites[identifier] for identifier in ids if identifier in overwrites]
        base &= ~_either(int(entry["deny"]) for entry in entries)
        base |= _either(int(entry["allow"]) for entry in entries)
    return base


def _either(bits: Iterable[int]) -> int:
    every_bit = 0
    for bit in bits:
        every_bit |= bit
    return every_bit


def unknown_roles(guild: Document, settings: Settings) -> tuple[str, ...]:
    """Return the ids that no role of the server has, each with its setting."""
    there = {str(role["id"]) for role in guild["roles"]}
    return tuple(f"{role} ({setting})" for setting, role in named_roles(settings) if str(role) not in there)


def unnotified_roles(guild: Document, settings: Settings, held: int) -> tuple[str, ...]:
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


# What a refused token, a missing permission and an unknown thing are answered with.
REFUSED, FORBIDDEN, UNKNOWN = 401, 403, 404


class _Names:
    """Resolve names as aiohttp does, but for that no end of a command waits for a name server that is silent.

    It is an AbstractResolver, but not by inheritance: aiohttp would be loaded with this file.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses. Raises OSError."""
        kind, flags = socket.SOCK_STREAM, socket.AI_ADDRCONFIG
        ask = partial(socket.getaddrinfo, host, port, family, kind, flags=flags)
        found = await in_daemon_thread(ask, f"address of {host}")
        numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            {
                "hostname": host,
                "host": str(address[0]),
                "port": port,
                "family": of_family,
                "proto": protocol,
                "flags": numeric,
            }
            for of_family, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Have nothing to close."""


class _UnreachableError(Exception):
    """Discord gave no usable answer."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def fetch_discord_facts(settings: Settings, environment: str = "") -> DiscordFacts:
    """Ask as the bot that the token belongs to, about the channels of an environment. Raises nothing.

    What could not be asked is said in the answer.
    """
    token = settings.discord_token.get_secret_value() if settings.discord_token else ""
    headers = {"Authorization": f"Bot {token}", "User-Agent": f"DiscordBot (roas-bot, {__version__})"}
    timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
    connector = aiohttp.TCPConnector(resolver=cast("AbstractResolver", _Names()))
    try:
        async with aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connector) as session:
            channel_id = settings.channel_of(environment)[0]
            facts = await _ask(session, settings, channel_id)
            if channel_id == settings.discord_ops_channel_id:
                return facts
            return replace(facts, ops=await _ask(session, settings, settings.discord_ops_channel_id))
    except _UnreachableError as error:
        return DiscordFacts(unreachable=error.reason)
    except TimeoutError:
        return DiscordFacts(unreachable=said("no answer within {seconds} s", seconds=f"{REQUEST_SECONDS:g}"))
    except (aiohttp.ClientError, *STRANGE) as error:
        return DiscordFacts(unreachable=type(error).__name__)


async def _ask(session: aiohttp.ClientSession, settings: Settings, channel_id: int | None) -> DiscordFacts:
    api = (settings.discord_api_url or DEFAULT_API_URL).rstrip("/")
    paths = ("users/@me", f"guilds/{settings.discord_guild_id}", f"channels/{channel_id}")
    user, guild, channel = await run_concurrently(_get(session, f"{api}/{path}") for path in paths)
    if user is None:
        return DiscordFacts()
    name = str(user.get("username", ""))
    if guild is None:
        return DiscordFacts(token_accepted=True, bot_name=name)
    if channel is None or str(channel.get("guild_id", guild["id"])) != str(guild["id"]):
        unknown = unknown_roles(guild, settings)
        return DiscordFacts(token_accepted=True, bot_name=name, guild_found=True, unknown_roles=unknown)
    member = await _get(session, f"{api}/guilds/{guild['id']}/members/{user['id']}")
    return DiscordFacts(
        token_accepted=True,
        bot_name=name,
        guild_found=True,
        channel_found=True,
        channel_name=str(channel.get("name", "")),
        channel_takes_messages=channel.get("type", 0) in MESSAGE_CHANNEL_TYPES,
        missing_permissions=None if member is None else missing_permissions(guild, member, channel),
        unknown_roles=unknown_roles(guild, settings),
        unnotified_roles=()
        if member is None
        else unnotified_roles(guild, settings, effective_permissions(guild, member, channel)),
    )


async def _get(session: aiohttp.ClientSession, url: str) -> dict[str, Any] | None:
    """Return what Discord shows, or None where it does not let the bot see it."""
    async with session.get(url) as response:
        if response.status in {REFUSED, FORBIDDEN, UNKNOWN}:
            return None
        if response.status != 200:
            raise _UnreachableError(said("status {status}", status=response.status))
        document: dict[str, Any] = await response.json()
        return document
