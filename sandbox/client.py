"""Plays the people who use the bot, through the control API; for tests and the demo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.errors import ControlError
from sandbox.views import Answer, Asked, Choice, Interaction, Message
from sandbox.world_client import WorldClient

# A viewer of the channel without a name has no roles and gets no ephemeral answers.
BYSTANDER = "bob"


class SandboxClient(WorldClient):
    """`async with SandboxClient(sandbox.control_url, sandbox.control_token) as people:`."""

    # --- what people do ---------------------------------------------------------------------------------------------

    async def slash(
        self,
        user: str | int,
        command: str,
        *,
        channel: str | int | None = None,
        locale: str | None = None,
        even_if_hidden: bool = False,
        **options: Any,
    ) -> Interaction:
        """Run a slash command and return at once; a command that the client would not offer raises ControlError."""
        body = {"user": user, "command": command, "channel": channel, "locale": locale, "options": options}
        data = await self.post("slash", {**body, "even_if_hidden": even_if_hidden})
        return Interaction(int(data["id"]), f"/{command} by {user}")

    async def say(self, user: str | int, text: str, *, channel: str | int | None = None) -> int:
        """Write a message in a channel and return its id."""
        return int((await self.post("say", {"user": user, "channel": channel, "text": text}))["id"])

    async def autocomplete(
        self,
        user: str | int,
        command: str,
        option: str,
        value: str,
        *,
        channel: str | int | None = None,
        locale: str | None = None,
        deadline_seconds: float = 5.0,
        **options: Any,
    ) -> list[Choice]:
        """Type `value` into an option and return what is suggested; ControlError where loading fails."""
        body = {"user": user, "command": command, "option": option, "value": value, "options": options}
        data = await self.post("autocomplete", {**body, "channel": channel, "locale": locale})
        what = f"suggestions for {option} of /{command}"
        answer = await self.answer(Interaction(int(data["id"]), what), deadline_seconds=deadline_seconds)
        if answer.error is not None:
            raise ControlError(f"{what}: {answer.error}")
        return answer.choices

    async def click(
        self, user: str | int, message_id: int | Message, custom_id: str, *, locale: str | None = None
    ) -> Interaction:
        """Press a button."""
        return await self._component(user, message_id, custom_id, None, locale)

    async def select(
        self,
        user: str | int,
        message_id: int | Message,
        custom_id: str,
        values: list[str],
        *,
        locale: str | None = None,
    ) -> Interaction:
        """Choose in a select menu."""
        return await self._component(user, message_id, custom_id, values, locale)

    async def _component(
        self, user: str | int, message: int | Message, custom_id: str, values: list[str] | None, locale: str | None
    ) -> Interaction:
        message_id = message.id if isinstance(message, Message) else message
        body = {"user": user, "message_id": str(message_id), "custom_id": custom_id, "values": values}
        data = await self.post("click", {**body, "locale": locale})
        return Interaction(int(data["id"]), f"{custom_id} on message {message_id} by {user}")

    async def submit(self, interaction: int | Interaction, **values: str) -> Interaction:
        """Fill in and send the form that the bot opened in answer to `interaction`."""
        asked = _id(interaction)
        data = await self.post("submit", {"interaction_id": str(asked), "values": values})
        return Interaction(int(data["id"]), f"the form of interaction {asked}")

    # --- what they see ----------------------------------------------------------------------------------------------

    async def answer(
        self, interaction: int | Interaction, *, deadline_seconds: float = 15.0, until: str = "complete"
    ) -> Answer:
        """Wait for the bot's final answer, or for the error that the person sees instead.

        Final is an original response, a deferred one once it has been edited, a form or a list of choices; after a
        silent acknowledgement of a button, the first edit or follow-up. `until="acknowledged"` waits for less.
        """
        if until not in ("complete", "acknowledged"):
            raise ValueError(f"until is 'complete' or 'acknowledged', not {until!r}")

        def is_final(data: dict[str, Any]) -> bool:
            return bool(data["error"] or data[until])

        what = f"the {until} answer to {interaction}"
        data = await self.wait(f"interactions/{_id(interaction)}", {}, is_final, what, deadline_seconds)
        return Answer.from_json(data)

    async def messages(
        self,
        channel: str | int | None = None,
        as_user: str | int = BYSTANDER,
        after: int | Message | None = None,
    ) -> list[Message]:
        """Return the channel's messages as this person sees them, oldest first."""
        _, data = await self.get("messages", _message_query(channel, as_user, after))
        return [Message.from_json(item) for item in data]

    async def wait_for_message(
        self,
        predicate: Callable[[Message], bool],
        deadline_seconds: float = 15.0,
        as_user: str | int = BYSTANDER,
        *,
        channel: str | int | None = None,
        after: int | Message | None = None,
    ) -> Message:
        """Return the first message for which `predicate` holds, looking again whenever anything changes."""

        def matching(data: list[dict[str, Any]]) -> bool:
            return any(predicate(Message.from_json(item)) for item in data)

        query = _message_query(channel, as_user, after)
        what = f"a message (seen by {as_user}) for which {getattr(predicate, '__name__', 'the condition')} holds"
        data = await self.wait("messages", query, matching, what, deadline_seconds, _last_messages)
        return next(message for message in map(Message.from_json, data) if predicate(message))

    async def wait_until_connected(
        self, deadline_seconds: float = 15.0, sessions: int = 1, *, identified: int = 0
    ) -> None:
        """Wait until the bot has this many gateway sessions, and has begun `identified` since the sandbox started."""

        def connected(state: dict[str, Any]) -> bool:
            return bool(state["connected"] >= sessions and state["identified"] >= identified)

        await self.wait("state", {}, connected, f"{sessions} gateway session(s)", deadline_seconds)

    async def wait_for_commands(self, *names: str, deadline_seconds: float = 15.0) -> None:
        """Wait until all these slash commands are registered."""

        def registered(commands: list[dict[str, Any]]) -> bool:
            return set(names) <= {command["name"] for command in commands}

        await self.wait("commands", {}, registered, f"the commands {names}", deadline_seconds)

    async def wait_for_request(
        self, predicate: Callable[[dict[str, Any]], bool], deadline_seconds: float = 15.0
    ) -> dict[str, Any]:
        """Wait for a REST request of the bot: method, path, status, time."""

        def made(requests: list[dict[str, Any]]) -> bool:
            return any(map(predicate, requests))

        requests = await self.wait("requests", {}, made, "a REST request", deadline_seconds, lambda data: data[-3:])
        return next(filter(predicate, requests))

    async def asked(self, user: str | int) -> list[Asked]:
        """Return all interactions of a person with the bot, and when they were answered."""
        _, data = await self.get("interactions", {"user": str(user)})
        return [Asked.from_json(item) for item in data]

    async def wait_until_answered(
        self, user: str | int, deadline_seconds: float = 15.0, *, only_acknowledged: bool = False
    ) -> list[Asked]:
        """Return a person's interactions, once all (that were acknowledged) are answered. Raises TimeoutError."""

        def answered(data: list[dict[str, Any]]) -> bool:
            awaited = [item for item in data if item["acknowledged"] is not None or not only_acknowledged]
            return all(item["answered"] is not None for item in awaited)

        query = {"user": str(user)}
        data = await self.wait("interactions", query, answered, f"every answer to {user}", deadline_seconds, len)
        return [Asked.from_json(item) for item in data]

    async def commands(self) -> list[dict[str, Any]]:
        """Return the registered commands, as Discord describes them."""
        return await self.data("commands")

    async def violations(self) -> list[dict[str, Any]]:
        """Return every request that broke Discord's description or limits; a correct bot leaves this empty."""
        return await self.data("violations")

    async def requests(self) -> list[dict[str, Any]]:
        """Return the log of REST requests: method, path, status, time, seconds."""
        return await self.data("requests")

    async def state(self) -> dict[str, Any]:
        """Return how many gateway sessions are connected, were identified, were resumed."""
        _, data = await self.get("state", {})
        return dict(data)


def _id(interaction: int | Interaction) -> int:
    return interaction.id if isinstance(interaction, Interaction) else interaction


def _message_query(channel: str | int | None, as_user: str | int, after: int | Message | None) -> dict[str, str]:
    query = {"as_user": str(as_user)}
    if channel is not None:
        query["channel"] = str(channel)
    if after is not None:
        query["after"] = str(after.id if isinstance(after, Message) else after)
    return query


def _last_messages(data: list[dict[str, Any]]) -> str:
    last = [Message.from_json(item) for item in data[-3:]]
    return "; ".join(f"{message.id} {message.text[:300]!r}" for message in last) or "no message at all"
