"""The only file that knows SimCord from the inside.

SimCord keeps an in-memory Discord (permissions, limits, interactions, ephemeral visibility) but no socket. What is used
of it here is private to SimCord, so its version is checked exactly and nothing of it leaves this file: the rest of the
sandbox sees `Bridge`, plain dictionaries and `ApiError`.
"""

from __future__ import annotations

import hmac
import importlib.metadata
import secrets
import time
from collections import deque
from collections.abc import Callable, Container, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, cast
from urllib.parse import quote

import discord
from simcord import intents as simcord_intents
from simcord import interactions as simcord_interactions
from simcord._clock import Clock
from simcord.backend import Backend, serializers
from simcord.backend.access import channel_accessible
from simcord.backend.cdn import CdnStore
from simcord.backend.command_access import command_access
from simcord.backend.errors import BackendError, SetupError
from simcord.backend.models import Interaction, Message, Overwrite
from simcord.components import walk_components
from simcord.enums import OverwriteType
from simcord.http import router
from simcord.http import routes as _routes  # noqa: F401  (importing it registers the routes)

from sandbox.errors import ApiError, ControlError

SIMCORD_VERSION = "3.2.1"
_LOG_LENGTH = 200  # SimCord keeps a transcript for its own assertions; a sandbox that stays up must not grow by it.

Event = Callable[[str, Mapping[str, Any]], None]


def check_version() -> None:
    """Refuse any SimCord but the one whose insides this file was written against."""
    found = importlib.metadata.version("simcord")
    if found != SIMCORD_VERSION:
        raise RuntimeError(f"the sandbox needs simcord {SIMCORD_VERSION}, found {found}: pip install -e '.[sandbox]'")


check_version()


@dataclass(frozen=True)
class Upload:
    """A file of a multipart request, in the shape that SimCord reads."""

    filename: str
    fp: BinaryIO
    description: str | None = None


class _MonotonicClock(Clock):
    """UTC that starts at the wall clock and then follows the monotonic one, so that deadlines never jump."""

    def __init__(self) -> None:
        super().__init__()
        self._epoch = datetime.now(UTC)
        self._started = time.monotonic()

    def now(self) -> datetime:
        return self._epoch + timedelta(seconds=time.monotonic() - self._started + self.elapsed)


class _Cdn(CdnStore):
    """Attachments whose URLs lead back to the sandbox, so that they can be downloaded."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base
        self._secret = secrets.token_bytes(32)
        self.files: dict[str, tuple[bytes, str]] = {}

    def store_attachment(
        self, attachment_id: int, channel_id: int, filename: str, data: bytes, description: str | None
    ) -> dict[str, Any]:
        stored = super().store_attachment(attachment_id, channel_id, filename, data, description)
        path = f"{channel_id}/{attachment_id}/{filename}"
        self.files[path] = (data, stored["content_type"])
        stored["url"] = f"{self._base}/attachments/{quote(path)}?hm={self.signature(path)}"
        stored["proxy_url"] = stored["url"]
        return stored

    def signature(self, path: str) -> str:
        """Return what an address must hold beside its path, which can be guessed."""
        return hmac.new(self._secret, path.encode(), "sha256").hexdigest()


class _Backend(Backend):
    """SimCord's backend with what a real socket needs on top."""

    def __init__(self, cdn_base: str) -> None:
        super().__init__(clock=_MonotonicClock())
        self.cdn: _Cdn = _Cdn(cdn_base)
        self.transcript = cast("list[Any]", deque(maxlen=_LOG_LENGTH))
        self.http_requests = cast("list[Any]", deque(maxlen=_LOG_LENGTH))
        self.pinged: dict[int, tuple[list[int], list[int], bool]] = {}
        # Applications made since 2017 share their id with their bot user, and discord.py's users rely on it.
        del self.users[self.bot_user.id]
        self.bot_user.id = self.application_id
        self.users[self.bot_user.id] = self.bot_user

    def new_interaction(self, type: int, channel_id: int, user_id: int, guild_id: int | None) -> Interaction:  # noqa: A002
        record = super().new_interaction(type, channel_id, user_id, guild_id)
        # SimCord's token can be guessed, and the token alone authorises an answer.
        del self.interaction_tokens[record.token]
        record.token = secrets.token_urlsafe(96)
        self.interaction_tokens[record.token] = record.id
        return record

    def interaction_by_token(self, token: str) -> Interaction:
        interaction_id = self.interaction_tokens.get(token)
        record = self.interactions[interaction_id] if interaction_id is not None else None
        if record is not None and record.expires_at is not None and self.now_iso() >= record.expires_at:
            raise BackendError(401, 50027, "Invalid Webhook Token")
        return super().interaction_by_token(token)

    def commit_message(self, message: Message, *, broadcast: bool = True) -> Message:
        self._resolve_embeds(message.embeds, message.attachments)
        if not message.is_ephemeral:
            # Kept apart from the message, because later edits change its mentions and notify nobody.
            self.pinged[message.id] = (
                list(message.ping_user_ids),
                list(message.ping_role_ids),
                message.mention_everyone,
            )
        return super().commit_message(message, broadcast=broadcast)

    def edit_message(self, channel_id: int, message_id: int, fields: dict[str, Any]) -> Message:
        if fields.get("embeds"):
            attachments = fields.get("attachments")
            if attachments is None:
                attachments = self.get_message(channel_id, message_id).attachments
            self._resolve_embeds(fields["embeds"], attachments)
        return super().edit_message(channel_id, message_id, fields)

    @staticmethod
    def _resolve_embeds(embeds: list[dict[str, Any]], attachments: list[dict[str, Any]]) -> None:
        """Convert `attachment://name` to the attachment's address, as Discord does in its responses."""
        urls = {f"attachment://{item['filename']}": item["url"] for item in attachments}
        for embed in embeds:
            for key in ("image", "thumbnail"):
                media = embed.get(key)
                if isinstance(media, dict) and media.get("url") in urls:
                    media["url"] = media["proxy_url"] = urls[media["url"]]


class Bridge:
    """An in-memory Discord with one application in it, driven by plain data."""

    def __init__(self, cdn_base: str, bot_name: str) -> None:
        self._backend = _Backend(cdn_base)
        self._backend.bot_user.name = bot_name
        self.application_id: int = self._backend.application_id
        self._listener: Event | None = None
        self._nonce: str | None = None
        self._backend.subscribers.append(self._emitted)

    def listen(self, listener: Event) -> None:
        """Call `listener` with every gateway event."""
        self._listener = listener

    def _emitted(self, event: str, payload: Mapping[str, Any]) -> None:
        if event == "MESSAGE_CREATE" and self._nonce is not None:
            payload = {**payload, "nonce": self._nonce}
        if self._listener is not None:
            self._listener(event, payload)

    # --- what the bot asks for over REST ---------------------------------------------------------------------------

    def rest(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, str] | None = None,
        files: list[Upload] | None = None,
        reason: str | None = None,
        nonce: str | None = None,
    ) -> Any:
        """Perform a REST call and return its JSON answer, None for 204."""
        self._nonce = nonce
        try:
            # SimCord keeps parts of the body as they are; the caller's copy must not change under it.
            result = router.dispatch(
                self._backend,
                method,
                path,
                json=deepcopy(json),
                params=dict(params or {}),
                files=cast("list[Any]", files or []),
                reason=reason,
            )
        except BackendError as error:
            raise ApiError(error.status, error.code, error.message, error.errors) from error
        finally:
            self._nonce = None
        return deepcopy(result)

    def register_commands(self, guild_id: int | None, payloads: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Replace the commands of a scope; those that keep their name keep their id."""
        allowed = {"name", "description", "type", "options", "default_member_permissions", "dm_permission"}
        allowed |= {"contexts", "integration_types", "name_localizations", "description_localizations"}
        kept = [{key: value for key, value in payload.items() if key in allowed} for payload in payloads]
        self._backend.register_commands(guild_id, kept)
        return self.commands(guild_id)

    def commands(self, guild_id: int | None) -> list[dict[str, Any]]:
        """Return the commands registered in a scope (None: global)."""
        registered = self._backend.commands.get(guild_id, {}).values()
        return [{"nsfw": False, "version": command["id"], **deepcopy(command)} for command in registered]

    def message_exists(self, channel_id: int, message_id: int) -> bool:
        """Return whether the message still exists."""
        return message_id in self._backend.messages.get(channel_id, {})

    def message(self, channel_id: int, message_id: int) -> dict[str, Any]:
        """Return a message as its author gets it, which needs no permission to read."""
        message = self._backend.get_message(channel_id, message_id)
        return dict(deepcopy(serializers.message_payload(self._backend, message)))

    def signature(self, path: str) -> str:
        """Return what the address of an attachment holds beside its path."""
        return self._backend.cdn.signature(path)

    def attachment(self, path: str) -> tuple[bytes, str] | None:
        """Return the bytes and the content type of a stored attachment."""
        return self._backend.cdn.files.get(path)

    # --- what the gateway sends to the bot --------------------------------------------------------------------------

    def bot_user(self) -> dict[str, Any]:
        """Return the bot's own user object."""
        return dict(serializers.user_payload(self._backend.bot_user))

    def guild_ids(self) -> list[int]:
        """Return the guilds that the bot is in."""
        return list(self._backend.guilds)

    def guild_create(self, guild_id: int) -> dict[str, Any]:
        """Return the GUILD_CREATE payload of a guild, before intents prune it."""
        return dict(serializers.guild_create_payload(self._backend, self._backend.get_guild(guild_id)))

    def shape_event(self, event: str, payload: Mapping[str, Any], intents_value: int) -> dict[str, Any] | None:
        """Return the payload as a session with these intents receives it, None where it does not."""
        intents = discord.Intents.none()
        intents.value = intents_value
        gate = simcord_intents.required_intent(event, payload)
        if gate is not None and not getattr(intents, gate):
            return None
        shaped = deepcopy(dict(payload))
        if not intents.message_content and event in ("MESSAGE_CREATE", "MESSAGE_UPDATE"):
            simcord_intents.censor_message(shaped, self._backend.bot_user.id, backend=self._backend)
        if event == "GUILD_CREATE":
            simcord_intents.prune_guild_create(shaped, intents, self._backend.bot_user.id)
        return shaped

    def members(self, guild_id: int, *, query: str, user_ids: list[int], limit: int) -> list[dict[str, Any]]:
        """Return the members that a REQUEST_GUILD_MEMBERS asks for."""
        guild = self._backend.guilds.get(guild_id)
        if guild is None:
            return []
        found = [
            member
            for member in guild.members.values()
            if (member.user_id in user_ids if user_ids else self._name(member.user_id).startswith(query.lower()))
        ]
        return [dict(serializers.member_payload(self._backend, guild, member)) for member in found[: limit or None]]

    def _name(self, user_id: int) -> str:
        return self._backend.users[user_id].name.lower()

    # --- the people and the place -----------------------------------------------------------------------------------

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

    # --- what people do ----------------------------------------------------------------------------------------------

    def say(self, channel_id: int, user_id: int, text: str) -> int:
        """Write a message as a person and return its id."""
        return self._backend.create_message(channel_id, user_id, text).id

    def command_refusal(self, command: dict[str, Any], user_id: int, channel_id: int) -> str | None:
        """Return why a client would not offer the command to this user here, None where it does."""
        access = command_access(self._backend, command, user_id=user_id, channel_id=channel_id)
        return None if access.allowed else access.reason

    def can_read(self, channel_id: int, user_id: int) -> bool:
        """Return whether the user sees the channel."""
        return channel_accessible(self._backend, channel_id, user_id)

    def leaf_command(self, command: dict[str, Any], path: list[str]) -> dict[str, Any]:
        """Return the (sub)command below `command` that `path` names."""
        try:
            return simcord_interactions.walk_to_subcommand(command, path)[0]
        except SetupError as error:
            raise ControlError(f"{error}; {' '.join(getattr(error, '__notes__', []))}") from error

    def checked_options(
        self, name: str, leaf: dict[str, Any], options: Mapping[str, Any], *, partial: bool
    ) -> dict[str, Any]:
        """Return the option values that a client would send, refusing those it would not let a user type."""
        try:
            return simcord_interactions.check_options(name, leaf, dict(options), partial=partial)
        except SetupError as error:
            raise ControlError(f"{error} {' '.join(getattr(error, '__notes__', []))}".strip()) from error

    def nested_options(
        self, command: dict[str, Any], path: list[str], options: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """Wrap the options in the subcommands of `path`."""
        return simcord_interactions.nest_options(command, path, options)

    def new_interaction(
        self,
        *,
        kind: int,
        channel_id: int,
        guild_id: int,
        user_id: int,
        data: dict[str, Any],
        locale: str,
        message_id: int | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """Record an interaction and return its id and the INTERACTION_CREATE payload."""
        record, payload = simcord_interactions.base_payload(
            self._backend, type=kind, channel_id=channel_id, guild_id=guild_id, user_id=user_id, data=data
        )
        payload["locale"] = locale
        payload["guild_locale"] = self._backend.get_guild(guild_id).preferred_locale
        payload["authorizing_integration_owners"] = {"0": str(guild_id)}
        if message_id is not None:
            record.source_message_id = message_id
            message = self._backend.get_message(channel_id, message_id)
            payload["message"] = dict(serializers.message_payload(self._backend, message))
        return record.id, payload

    def interaction(self, interaction_id: int) -> Interaction:
        """Return SimCord's record of an interaction; read it, never write it."""
        return self._backend.interactions[interaction_id]

    def interaction_id_of_token(self, token: str) -> int | None:
        """Return the interaction that a token belongs to."""
        return self._backend.interaction_tokens.get(token)

    def components(self, message: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return all components of a message, nested ones too."""
        return list(walk_components(message.get("components") or []))

    def visible_messages(
        self, channel_id: int, user_id: int, *, after: int = 0, only: Container[int] | None = None
    ) -> list[dict[str, Any]]:
        """Return the channel as this user sees it, oldest first; or what of it is newer, or has one of these ids.

        What is within the messages is theirs, to be read at once: all of it is asked for again at each change.
        """
        if not self.can_read(channel_id, user_id):
            return []
        return [
            self._view(message)
            for message in self._backend.messages[channel_id].values()
            if message.id > after and (only is None or message.id in only) and message.visible_to(user_id)
        ]

    def _view(self, message: Message) -> dict[str, Any]:
        users, roles, everyone = self._backend.pinged.get(message.id, ([], [], False))
        payload: dict[str, Any] = dict(serializers.message_payload(self._backend, message))
        payload["pinged"] = {"users": [*map(str, users)], "roles": [*map(str, roles)], "everyone": everyone}
        return payload
