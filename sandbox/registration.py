"""Registering slash commands, one by one or all at once, in the guild or for everybody."""

from __future__ import annotations

import re
from typing import Any

from sandbox.errors import ApiError
from sandbox.rules import check_commands
from sandbox.simcord_bridge import Bridge

_COMMANDS = re.compile(r"/applications/(\d+)(?:/guilds/(\d+))?/commands(?:/(\d+))?")


class Registration:
    """Answers the routes below `/applications/{id}/…/commands`."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    def covers(self, path: str) -> bool:
        """Return whether the route is one of these."""
        return _COMMANDS.fullmatch(path) is not None

    def answer(self, method: str, path: str, body: Any) -> Any:
        """Return the answer, None for 204."""
        match = _COMMANDS.fullmatch(path)
        if match is None:
            raise _wrong_method()
        guild_id = int(match[2]) if match[2] else None
        if int(match[1]) != self._bridge.application_id:
            raise ApiError(403, 20012, "You are not authorized to perform this action on this application")
        if guild_id is not None and guild_id not in self._bridge.guild_ids():
            raise ApiError(403, 50001, "Missing Access")
        if match[3]:
            return self._answer_single(method, guild_id, match[3], body)
        return self._all(method, guild_id, body)

    def _all(self, method: str, guild_id: int | None, body: Any) -> Any:
        if method == "GET":
            return self._bridge.commands(guild_id)
        if method == "PUT":
            return self._register(guild_id, body)
        if method == "POST":
            others = [command for command in self._bridge.commands(guild_id) if not _same(command, body)]
            return next(item for item in self._register(guild_id, [*others, body]) if _same(item, body))
        raise _wrong_method()

    def _answer_single(self, method: str, guild_id: int | None, command_id: str, body: Any) -> Any:
        commands = self._bridge.commands(guild_id)
        found = next((command for command in commands if command["id"] == command_id), None)
        if found is None:
            raise ApiError(404, 10063, "Unknown application command")
        others = [command for command in commands if command is not found]
        if method == "GET":
            return found
        if method == "PATCH":
            changed = {**found, **body}
            return next(item for item in self._register(guild_id, [*others, changed]) if _same(item, changed))
        if method == "DELETE":
            self._register(guild_id, others)
            return None
        raise _wrong_method()

    def _register(self, guild_id: int | None, commands: list[dict[str, Any]]) -> list[dict[str, Any]]:
        check_commands(commands)
        return self._bridge.register_commands(guild_id, commands)


def _wrong_method() -> ApiError:
    return ApiError(405, 0, "405: Method Not Allowed")


def _same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    return bool(left["name"] == right["name"] and left.get("type", 1) == right.get("type", 1))
