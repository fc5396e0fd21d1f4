"""Plays the people who use the bot, through the control API; for tests and the demo."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp

from sandbox.errors import ControlError
from sandbox.views import Answer, Asked, Choice, Interaction, Message

# A viewer of the channel without a name has no roles and gets no ephemeral answers.
BYSTANDER = "bob"
BURST_SECONDS = 0.05
_POLL_SECONDS = 25.0

T = TypeVar("T")


class SandboxClient:
    """`async with SandboxClient(sandbox.control_url, sandbox.control_token) as people:`."""

    def __init__(self, control_url: str, control_token: str) -> None:
        self._url = control_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {control_token}"}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Nothing is opened before the first call."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections to the sandbox."""
        if self._session is not None:
            await self._session.close()
            self._session = None

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
        data = await self._post("slash", {**body, "even_if_hidden": even_if_hidden})
        return Interaction(int(data["id"]), f"/{command} by {user}")

    async def say(self, user: str | int, text: str, *, channel: str | int | None = None) -> int:
        """Write a message in a channel and return its id."""
        return int((await self._post("say", {"user": user, "channel": channel, "text": text}))["id"])

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
        data = await self._post("autocomplete", {**body, "channel": channel, "locale": locale})
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
        data = await self._post("click", {**body, "locale": locale})
        return Interaction(int(data["id"]), f"{custom_id} on message {message_id} by {user}")

    async def submit(self, interaction: int | Interaction, **values: str) -> Interaction:
        """Fill in and send the form that the bot opened in answer to `interaction`."""
        asked = _id(interaction)
        data = await self._post("submit", {"interaction_id": str(asked), "values": values})
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
        data = await self._wait(f"interactions/{_id(interaction)}", {}, is_final, what, deadline_seconds)
        return Answer.from_json(data)

    async def messages(
        self,
        channel: str | int | None = None,
        as_user: str | int = BYSTANDER,
        after: int | Message | None = None,
    ) -> list[Message]:
        """Return the channel's messages as this person sees them, oldest first."""
        _, data = await self._get("messages", _message_query(channel, as_user, after))
        return [Message.from_json(one) for one in data]

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
            return any(predicate(Message.from_json(one)) for one in data)

        query = _message_query(channel, as_user, after)
        what = f"a message (seen by {as_user}) for which {getattr(predicate, '__name__', 'the condition')} holds"
        data = await self._wait("messages", query, matching, what, deadline_seconds, _last_messages)
        return next(message for message in map(Message.from_json, data) if predicate(message))

    async def wait_until_connected(
        self, deadline_seconds: float = 15.0, sessions: int = 1, *, identified: int = 0
    ) -> None:
        """Wait until the bot has this many gateway sessions, and has begun `identified` since the sandbox started."""

        def connected(state: dict[str, Any]) -> bool:
            return bool(state["connected"] >= sessions and state["identified"] >= identified)

        await self._wait("state", {}, connected, f"{sessions} gateway session(s)", deadline_seconds)

    async def wait_for_commands(self, *names: str, deadline_seconds: float = 15.0) -> None:
        """Wait until all these slash commands are registered."""

        def registered(commands: list[dict[str, Any]]) -> bool:
            return set(names) <= {one["name"] for one in commands}

        await self._wait("commands", {}, registered, f"the commands {names}", deadline_seconds)

    async def wait_for_request(
        self, predicate: Callable[[dict[str, Any]], bool], deadline_seconds: float = 15.0
    ) -> dict[str, Any]:
        """Wait for a REST request of the bot: method, path, status, time."""

        def made(requests: list[dict[str, Any]]) -> bool:
            return any(map(predicate, requests))

        requests = await self._wait("requests", {}, made, "a REST request", deadline_seconds, lambda data: data[-3:])
        return next(filter(predicate, requests))

    async def asked(self, user: str | int) -> list[Asked]:
        """Return all interactions of a person with the bot, and when they were answered."""
        _, data = await self._get("interactions", {"user": str(user)})
        return [Asked.from_json(one) for one in data]

    async def wait_until_answered(
        self, user: str | int, deadline_seconds: float = 15.0, *, only_acknowledged: bool = False
    ) -> list[Asked]:
        """Return a person's interactions, once all (that were acknowledged) are answered. Raises TimeoutError."""

        def answered(data: list[dict[str, Any]]) -> bool:
            awaited = [one for one in data if one["acknowledged"] is not None or not only_acknowledged]
            return all(one["answered"] is not None for one in awaited)

        query = {"user": str(user)}
        data = await self._wait("interactions", query, answered, f"every answer to {user}", deadline_seconds, len)
        return [Asked.from_json(one) for one in data]

    async def commands(self) -> list[dict[str, Any]]:
        """Return the registered commands, as Discord describes them."""
        return await self._data("commands")

    async def violations(self) -> list[dict[str, Any]]:
        """Return every request that broke Discord's description or limits; a correct bot leaves this empty."""
        return await self._data("violations")

    async def requests(self) -> list[dict[str, Any]]:
        """Return the log of REST requests: method, path, status, time, seconds."""
        return await self._data("requests")

    async def state(self) -> dict[str, Any]:
        """Return how many gateway sessions are connected, were identified, were resumed."""
        _, data = await self._get("state", {})
        return dict(data)

    # --- what the world does to them --------------------------------------------------------------------------------

    async def add_user(self, name: str, *roles: str) -> int:
        """Add a member with these roles."""
        return int((await self._post("users", {"name": name, "roles": list(roles)}))["id"])

    async def set_roles(self, user: str | int, *roles: str) -> None:
        """Replace a member's roles."""
        await self._post("roles", {"user": user, "roles": list(roles)})

    async def set_guild_locale(self, locale: str) -> None:
        """Set the guild's preferred locale, which is the channel's."""
        await self._post("guild_locale", {"locale": locale})

    async def set_locale(self, user: str | int, locale: str) -> None:
        """Set the language of a person's client."""
        await self._post("locale", {"user": user, "locale": locale})

    async def deny_bot(self, *permissions: str, channel: str | int | None = None) -> None:
        """Remove permissions (by discord.py's names) from the bot in a channel; without names, restore all."""
        await self._post("deny", {"channel": channel, "permissions": list(permissions)})

    async def delete_message(self, message: int | Message, *, channel: str | int | None = None) -> None:
        """Delete a message, as a moderator would."""
        message_id = message.id if isinstance(message, Message) else message
        await self._post("delete_message", {"channel": channel, "message_id": str(message_id)})

    async def delete_channel(self, channel: str | int | None = None) -> None:
        """Delete a channel with all that is in it."""
        await self._post("delete_channel", {"channel": channel})

    async def create_channel(self, name: str) -> int:
        """Create a text channel and return its id; one named `ops` is the default channel for people."""
        return int((await self._post("create_channel", {"name": name}))["id"])

    async def advance(self, seconds: float) -> None:
        """Advance the interactions' deadlines without waiting."""
        await self._post("advance", {"seconds": seconds})

    async def add_fault(self, **fault: Any) -> None:
        """Order a fault; the arguments are those of `sandbox.faults.Fault`."""
        await self._post("faults", fault)

    async def clear_faults(self) -> None:
        """Withdraw every fault that is not used up."""
        await self._post("faults", {})

    async def disconnect(self, code: int = 4000, *, resumable: bool = True) -> int:
        """Cut every gateway connection and say how many there were."""
        return int((await self._post("disconnect", {"code": code, "resumable": resumable}))["cut"])

    async def take_gateway_away(self) -> None:
        """Cut every gateway connection and refuse new ones, until it is brought back."""
        await self._post("gateway", {"away": True})

    async def bring_gateway_back(self) -> None:
        """Let bots connect again."""
        await self._post("gateway", {"away": False})

    # --- the wire ---------------------------------------------------------------------------------------------------

    async def _wait(
        self,
        path: str,
        query: dict[str, str],
        done: Callable[[T], bool],
        what: str,
        deadline_seconds: float,
        shorten: Callable[[T], Any] = lambda data: data,
    ) -> T:
        """Ask again at every change until `done`; the deadline is monotonic."""
        deadline = time.monotonic() + deadline_seconds
        version = -1
        while True:
            left = max(0.0, deadline - time.monotonic())
            poll = {**query, "since": str(version), "wait": f"{min(left, _POLL_SECONDS):.3f}"}
            version, data = await self._get(path, poll)
            if done(data):
                return data  # type: ignore[no-any-return]
            if time.monotonic() >= deadline:
                raise TimeoutError(f"waited {deadline_seconds} s for {what}; last seen: {shorten(data)}")
            # Changes come in bursts, and each answer is all that there is: a burst is read once.
            await asyncio.sleep(BURST_SECONDS)

    async def _data(self, path: str) -> list[dict[str, Any]]:
        _, data = await self._get(path, {})
        return list(data)

    async def _get(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        async with self._open().get(f"{self._url}/{path}", params=query, headers=self._headers) as response:
            content = await _content(response)
            return content["version"], content["data"]

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        async with self._open().post(f"{self._url}/{path}", json=body, headers=self._headers) as response:
            return (await _content(response))["data"]

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_POLL_SECONDS + 10))
        return self._session


async def _content(response: aiohttp.ClientResponse) -> dict[str, Any]:
    if response.content_type != "application/json":
        raise ControlError(f"{response.status}: {await response.text()}", response.status)
    content: dict[str, Any] = await response.json()
    if "error" in content:
        raise ControlError(content["error"], response.status)
    return content


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
    last = [Message.from_json(one) for one in data[-3:]]
    return "; ".join(f"{one.id} {one.text[:300]!r}" for one in last) or "no message at all"
