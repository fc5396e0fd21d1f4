"""The in-memory Discord that the rest of the sandbox sees: `Bridge`, plain dictionaries and `ApiError`.

SimCord keeps it (permissions, limits, interactions, ephemeral visibility) but has no socket. `simcord_backend.py` has
what a socket needs on top, `simcord_place.py` the guild and its people.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import discord
from simcord import intents as simcord_intents
from simcord import interactions as simcord_interactions
from simcord.backend import serializers
from simcord.backend.access import channel_accessible
from simcord.backend.command_access import command_access
from simcord.backend.errors import BackendError, SetupError
from simcord.backend.models import Interaction, Message
from simcord.components import walk_components
from simcord.http import router
from simcord.http import routes as _routes  # noqa: F401  (importing it registers the routes)

from sandbox.errors import ApiError, ControlError
from sandbox.simcord_backend import SandboxBackend
from sandbox.simcord_place import Place

Event = Callable[[str, Mapping[str, Any]], None]


@dataclass(frozen=True)
class Upload:
    """A file of a multipart request, in the shape that SimCord reads."""

    filename: str
    fp: BinaryIO
    description: str | None = None


class Bridge(Place):
    """An in-memory Discord with one application in it, driven by plain data."""

    def __init__(self, cdn_base: str, bot_name: str) -> None:
        super().__init__(SandboxBackend(cdn_base))
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
