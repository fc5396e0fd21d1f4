"""What people do with the bot: commands, autocomplete, buttons; and how the bot answered, and how fast."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.changes import Changes
from sandbox.errors import ControlError
from sandbox.filling import chosen, filled_in
from sandbox.world import World

COMMAND, COMPONENT, AUTOCOMPLETE, MODAL = 2, 3, 4, 5
ACKNOWLEDGE_SECONDS = 3.0
BUTTON = 2
# Acknowledged, and nothing to read yet.
SILENT_KINDS = ("deferred", "deferred_update")

Send = Callable[[str, Mapping[str, Any]], None]


@dataclass
class Tracked:
    """The times of an interaction that SimCord does not keep, on the monotonic clock."""

    user_id: int
    channel_id: int
    kind: int
    started: float
    command: str = ""
    acknowledged: float | None = None
    touched: bool = False  # The bot edited or followed up after its acknowledgement.
    answered: float | None = None  # The person first read something.
    answers: int = 0
    refused: int = 0  # Acknowledgements after the first one.


class Interactions:
    """Sends interactions as a Discord client would, and follows what becomes of them."""

    def __init__(self, world: World, send: Send, changes: Changes) -> None:
        self._world = world
        self._bridge = world.bridge
        self._send = send
        self._changes = changes
        self._tracked: dict[int, Tracked] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        self._skipped = 0.0

    def close(self) -> None:
        """Stop watching deadlines."""
        for timer in self._timers:
            timer.cancel()

    def _now(self) -> float:
        return time.monotonic() + self._skipped

    def advance(self, seconds: float) -> None:
        """Advance the clock for every deadline at once."""
        self._skipped += seconds
        self._bridge.advance_clock(seconds)
        self._changes.bump()

    # --- what a person does -----------------------------------------------------------------------------------------

    def slash(
        self,
        user: str | int,
        command: str,
        options: Mapping[str, Any],
        *,
        channel: str | int | None = None,
        locale: str | None = None,
        even_if_hidden: bool = False,
    ) -> int:
        """Run a slash command; `command` may name a subcommand after blanks."""
        user_id, channel_id = self._place(user, channel)
        root, leaf, path = self._command(command, user_id, channel_id, even_if_hidden=even_if_hidden)
        values = self._bridge.checked_options(command, leaf, options, partial=False)
        types = {option["name"]: option["type"] for option in leaf.get("options") or []}
        wire = [{"name": name, "type": types[name], "value": value} for name, value in values.items()]
        return self._dispatch(COMMAND, user_id, channel_id, self._command_data(root, path, wire), locale)

    def autocomplete(
        self,
        user: str | int,
        command: str,
        option: str,
        value: str,
        options: Mapping[str, Any],
        *,
        channel: str | int | None = None,
        locale: str | None = None,
    ) -> int:
        """Type `value` into an option that completes."""
        user_id, channel_id = self._place(user, channel)
        root, leaf, path = self._command(command, user_id, channel_id, even_if_hidden=False)
        declared = {item["name"]: item for item in leaf.get("options") or []}
        if not declared.get(option, {}).get("autocomplete"):
            raise ControlError(f"/{command} has no option {option!r} that completes", 404)
        values = self._bridge.checked_options(command, leaf, options, partial=True)
        wire = [{"name": name, "type": declared[name]["type"], "value": entry} for name, entry in values.items()]
        wire.append({"name": option, "type": declared[option]["type"], "value": value, "focused": True})
        return self._dispatch(AUTOCOMPLETE, user_id, channel_id, self._command_data(root, path, wire), locale)

    def click(
        self, user: str | int, message_id: int, custom_id: str, values: list[str] | None, locale: str | None
    ) -> int:
        """Press a button, or choose `values` in a select."""
        user_id = self._world.user(user)
        message = self._visible_message(user_id, message_id)
        found = [entry for entry in self._bridge.components(message) if entry.get("custom_id") == custom_id]
        if not found:
            there = [entry["custom_id"] for entry in self._bridge.components(message) if "custom_id" in entry]
            raise ControlError(f"message {message_id} has no component {custom_id!r}; it has {there}", 404)
        component = found[0]
        if component.get("disabled"):
            raise ControlError(f"{custom_id!r} is disabled: a person could not press it")
        data: dict[str, Any] = {"custom_id": custom_id, "component_type": component["type"], "id": component.get("id")}
        if component["type"] != BUTTON:
            data["values"] = chosen(component, values or [])
        elif values:
            raise ControlError(f"{custom_id!r} is a button and has no values")
        return self._dispatch(COMPONENT, user_id, int(message["channel_id"]), data, locale, message_id)

    def submit(self, interaction_id: int, values: Mapping[str, str]) -> int:
        """Fill in the form that the bot opened in answer to an interaction, and send it."""
        tracked = self._get(interaction_id)
        record = self._bridge.interaction(interaction_id)
        if record.modal is None:
            raise ControlError(f"interaction {interaction_id} opened no form")
        filled = filled_in(record.modal["components"], dict(values))
        data = {"custom_id": record.modal["custom_id"], "components": filled}
        return self._dispatch(MODAL, tracked.user_id, tracked.channel_id, data, None, record.source_message_id)

    # --- what became of it ------------------------------------------------------------------------------------------

    def answered(self, interaction_id: int, *, acknowledged: bool) -> None:
        """Record that the bot acknowledged an interaction or sent another response to it."""
        tracked = self._tracked.get(interaction_id)
        if tracked is None:
            return
        if acknowledged:
            tracked.acknowledged = self._now()
            says_something = self._bridge.interaction(interaction_id).response_kind not in SILENT_KINDS
        else:
            says_something = tracked.touched = True
        if says_something:
            tracked.answers += 1
            tracked.answered = tracked.answered or self._now()

    def refused(self, interaction_id: int) -> None:
        """Record that the bot tried to acknowledge an interaction that was acknowledged already."""
        if tracked := self._tracked.get(interaction_id):
            tracked.refused += 1

    def followed(self, user_id: int) -> list[dict[str, Any]]:
        """Return when a person's interactions were acknowledged and answered, and how often, oldest first."""
        return [
            {
                "id": str(interaction_id),
                "command": tracked.command,
                "sent": tracked.started,
                "acknowledged": tracked.acknowledged,
                "answered": tracked.answered,
                "answers": tracked.answers,
                "refused": tracked.refused,
            }
            for interaction_id, tracked in self._tracked.items()
            if tracked.user_id == user_id
        ]

    def state(self, interaction_id: int) -> dict[str, Any]:
        """Return the state of an interaction, as the person who caused it sees it."""
        tracked, record = self._get(interaction_id), self._bridge.interaction(interaction_id)
        answers = {record.message_id or 0, *record.followup_ids}
        seen = self._bridge.visible_messages(tracked.channel_id, tracked.user_id, only=answers)
        messages = {int(item["id"]): item for item in seen}
        kind = str(record.response_kind) if record.response_kind is not None else None
        latency = None if tracked.acknowledged is None else tracked.acknowledged - tracked.started
        return {
            "id": str(interaction_id),
            "kind": kind,
            "acknowledged": record.responded,
            "acknowledged_after": latency,
            "loading": record.loading,
            "complete": self._complete(tracked, kind),
            "error": self._error(tracked, record.responded),
            "ephemeral": record.ephemeral,
            "original": messages.get(record.message_id or 0),
            "followups": [messages[followup_id] for followup_id in record.followup_ids if followup_id in messages],
            "choices": record.autocomplete_choices,
            "modal": record.modal,
        }

    def _complete(self, tracked: Tracked, kind: str | None) -> bool:
        if kind is None or kind == "deferred":
            return False
        return kind != "deferred_update" or tracked.touched

    def _error(self, tracked: Tracked, responded: bool) -> str | None:
        if responded or self._now() - tracked.started < ACKNOWLEDGE_SECONDS:
            return None
        if tracked.kind == AUTOCOMPLETE:
            return "Loading options failed"
        return "This interaction failed" if tracked.kind != COMMAND else "The application did not respond"

    # --- how it is sent ---------------------------------------------------------------------------------------------

    def _dispatch(
        self,
        kind: int,
        user_id: int,
        channel_id: int,
        data: dict[str, Any],
        locale: str | None,
        message_id: int | None = None,
    ) -> int:
        interaction_id, payload = self._bridge.new_interaction(
            kind=kind,
            channel_id=channel_id,
            guild_id=self._world.guild_id,
            user_id=user_id,
            data=data,
            locale=locale or self._world.locale(user_id),
            message_id=message_id,
        )
        self._tracked[interaction_id] = Tracked(user_id, channel_id, kind, self._now(), str(data.get("name", "")))
        self._watch(ACKNOWLEDGE_SECONDS)
        self._send("INTERACTION_CREATE", payload)
        self._changes.bump()
        return interaction_id

    def _watch(self, seconds: float) -> None:
        """Wake those who wait for an answer once it is too late for one."""
        loop = asyncio.get_running_loop()

        def overdue() -> None:
            self._timers.discard(timer)
            self._changes.bump()

        timer = loop.call_later(seconds + 0.01, overdue)
        self._timers.add(timer)

    def _place(self, user: str | int, channel: str | int | None) -> tuple[int, int]:
        user_id, channel_id = self._world.user(user), self._world.channel(channel)
        if not self._bridge.can_read(channel_id, user_id):
            raise ControlError(f"{user} does not see that channel", 403)
        return user_id, channel_id

    def _command(
        self, name: str, user_id: int, channel_id: int, *, even_if_hidden: bool
    ) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
        first, *path = name.lstrip("/").split()
        known = {command["name"]: command for command in reversed(self.commands()) if command.get("type", 1) == 1}
        if first not in known:
            offered = ", ".join(f"/{item}" for item in known) or "none yet"
            raise ControlError(f"no command /{first} is registered, so the client does not offer it ({offered})", 404)
        refusal = self._bridge.command_refusal(known[first], user_id, channel_id)
        if refusal is not None and not even_if_hidden:
            raise ControlError(f"the client does not offer /{first} to this user here: {refusal}", 403)
        return known[first], self._bridge.leaf_command(known[first], path), path

    def commands(self) -> list[dict[str, Any]]:
        """Return the registered commands, the guild's own first, since they hide global ones of the same name."""
        return [*self._bridge.commands(self._world.guild_id), *self._bridge.commands(None)]

    def _command_data(self, root: dict[str, Any], path: list[str], options: list[dict[str, Any]]) -> dict[str, Any]:
        nested = self._bridge.nested_options(root, path, options)
        data = {"id": root["id"], "name": root["name"], "type": root.get("type", 1), "options": nested}
        return {**data, "guild_id": root["guild_id"]} if root.get("guild_id") else data

    def _get(self, interaction_id: int) -> Tracked:
        if interaction_id not in self._tracked:
            raise ControlError(f"there is no interaction {interaction_id}", 404)
        return self._tracked[interaction_id]

    def _visible_message(self, user_id: int, message_id: int) -> dict[str, Any]:
        for channel_id in self._bridge.channel_names():
            for message in self._bridge.visible_messages(channel_id, user_id, only=(message_id,)):
                return message
        raise ControlError(f"there is no message {message_id} that this user can see", 404)
